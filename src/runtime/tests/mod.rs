mod axes;
mod broken;
mod concrete;
mod faulty;
mod operators;
mod rearranged;
mod taps;
