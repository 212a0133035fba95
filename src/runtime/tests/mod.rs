mod axes;
mod broken;
mod faulty;
mod taps;
