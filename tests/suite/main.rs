//! Tests of structure, of whole stages and of the program, with outside judges where there are any.

mod architecture;
mod batch;
mod budget;
mod conversions;
mod forms;
mod fuzz;
mod judge;
mod judged;
mod large;
mod nbits;
mod nodes;
mod opsets;
mod oracle;
mod passes;
mod placements;
mod program;
mod random;
mod remote;
mod rounding;
mod samples;
mod saturation;
mod storage;
mod structures;
mod targets;
mod upgrade;
mod written;
