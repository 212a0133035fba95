mod axes;
mod broken;
mod faulty;
mod operators;
mod rearranged;
mod taps;
