mod axes;
mod broken;
mod faulty;
mod padding;
mod taps;
