//! Speed of the scale searches, beside the approximate ones in common use, and what those give away in error.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fourbit::mmse::{
    Fit, Grid, Histogram, MultiSearch, Search, error_at, fit_min_max, fit_range, fit_range_multi,
    fit_range_symmetric,
};

const SIDES: [Grid; 2] = [Grid::signed(4), Grid::flipped(4)];
const INT4: Grid = Grid::signed(4);

/// Reproducible uniform numbers in 0..1.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn gauss(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Student's t with five degrees of freedom: bell-shaped with the tails that trained weights have.
    fn student(&mut self) -> f64 {
        let spread: f64 = (0..5).map(|_| self.gauss().powi(2)).sum();
        self.gauss() / (spread / 5.0).sqrt()
    }
}

/// An approximate search: values and grid to scale.
type Rough = fn(&[f32], Grid) -> f32;

/// Kernels of one size, 64 Ki weights of them.
fn kernels(size: usize) -> Vec<Vec<f32>> {
    let mut noise = Noise(size as u64);
    (0..65_536usize.div_ceil(size)).map(|_| (0..size).map(|_| noise.student() as f32).collect()).collect()
}

/// Squared error with the grid's ends unpacked and no weights, as fast as the approximate searches could wish.
fn quick_error(values: &[f32], scale: f32, grid: Grid) -> f32 {
    const ROUNDER: f32 = 12_582_912.0;
    let (lo, hi, inverse) = (grid.lo() as f32, grid.hi() as f32, 1.0 / scale);
    let distance = |value: f32| value - scale * (((value * inverse).clamp(lo, hi) + ROUNDER) - ROUNDER);
    let mut sums = [0.0f32; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += distance(value).powi(2);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&value| distance(value).powi(2)).sum::<f32>()
}

fn unclipped(values: &[f32], grid: Grid) -> f32 {
    values.iter().fold(0.0f32, |most, value| most.max(value.abs())) / -grid.lo() as f32
}

/// The best of 100 scales, evenly from a hundredth of the unclipped one up to it.
fn grid_100(values: &[f32], grid: Grid) -> f32 {
    let widest = unclipped(values, grid) * 8.0 / 7.0;
    let mut best = (f32::INFINITY, widest);
    for point in 1..=100 {
        let scale = widest * point as f32 / 100.0;
        let error = quick_error(values, scale, grid);
        if error < best.0 {
            best = (error, scale);
        }
    }
    best.1
}

/// Twenty steps of golden section between a fifth of the unclipped scale and all of it.
fn golden_20(values: &[f32], grid: Grid) -> f32 {
    const RATIO: f32 = 0.618_034;
    let widest = unclipped(values, grid) * 8.0 / 7.0;
    let (mut low, mut high) = (widest * 0.2, widest);
    let (mut left, mut right) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut at_left, mut at_right) = (quick_error(values, left, grid), quick_error(values, right, grid));
    for _ in 0..20 {
        if at_left < at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - RATIO * (high - low);
            at_left = quick_error(values, left, grid);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + RATIO * (high - low);
            at_right = quick_error(values, right, grid);
        }
    }
    (low + high) / 2.0
}

fn min_max(values: &[f32], grid: Grid) -> f32 {
    fit_min_max(values, grid).map_or(1.0, |fit| fit.scale)
}

/// Mean over kernels of an approximate search's error over the exact one's on the same grid.
fn print_error_ratios(size: usize, kernels: &[Vec<f32>], grid: Grid) {
    let mut search = Search::new();
    let mut exact = |values: &[f32], grids: &[Grid]| {
        search.fit_best(values, None, grids).map_or(0.0, |fit: Fit| fit.error)
    };
    let least: f64 = kernels.iter().map(|values| exact(values, &[grid])).sum();
    let sides: f64 = kernels.iter().map(|values| exact(values, &SIDES)).sum();
    let ratio = |scale: Rough| {
        kernels.iter().map(|values| error_at(values, None, scale(values, grid), grid)).sum::<f64>() / least
    };
    println!(
        "error over the exact one, {size} values on {}..={}: grid-100 {:.5}, golden-20 {:.5}, min-max {:.3}, best of two INT4 sides {:.3}",
        grid.lo(),
        grid.hi(),
        ratio(grid_100),
        ratio(golden_20),
        ratio(min_max),
        sides / least
    );
}

fn weights(criterion: &mut Criterion) {
    let offsets: Vec<Grid> = (0..16).map(|zero| Grid::offset(4, zero)).collect();
    for size in [9usize, 144, 576, 4608] {
        let kernels = kernels(size);
        print_error_ratios(size, &kernels, INT4);
        let mut group = criterion.benchmark_group(format!("fit {size}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(kernels.iter().map(|kernel| kernel.len() as u64).sum()));
        let exact: [(&str, &[Grid]); 4] = [
            ("INT4", &[INT4]),
            ("INT4 two sides", &SIDES),
            ("UINT4 all 16", &offsets),
            ("INT8", &[Grid::signed(8)]),
        ];
        for (name, grids) in exact {
            let mut search = Search::new();
            group.bench_function(BenchmarkId::new("exact", name), |bencher| {
                bencher.iter(|| {
                    for kernel in &kernels {
                        let _ = black_box(search.fit_best(black_box(kernel), None, grids));
                    }
                });
            });
        }
        let rough: [(&str, Rough); 3] =
            [("grid-100", grid_100), ("golden-20", golden_20), ("min-max", min_max)];
        for (name, scale) in rough {
            group.bench_function(BenchmarkId::new(name, "INT4"), |bencher| {
                bencher.iter(|| {
                    for kernel in &kernels {
                        black_box(scale(black_box(kernel), INT4));
                    }
                });
            });
        }
        group.finish();
    }
}

/// Two terms, and their mean relative error beside that of a single term of four and of eight bits.
fn duals(criterion: &mut Criterion) {
    for size in [9usize, 144, 576, 4608] {
        let kernels = kernels(size);
        let (mut search, mut single) = (MultiSearch::new(), Search::new());
        let mean = |error: &mut dyn FnMut(&[f32]) -> f64| {
            kernels.iter().map(|kernel| error(kernel)).sum::<f64>() / kernels.len() as f64
        };
        let two =
            mean(&mut |kernel| search.fit(kernel, None, &SIDES, 2).map_or(0.0, |fit| fit.relative_error()));
        let mut one = |grids: &[Grid]| {
            mean(&mut |kernel| single.fit_best(kernel, None, grids).map_or(0.0, |fit| fit.relative_error()))
        };
        let (four, eight) = (one(&SIDES), one(&[Grid::signed(8)]));
        println!("mean relative error, {size} values: two INT4 {two:.3e}, INT4 {four:.3e}, INT8 {eight:.3e}");
        let mut group = criterion.benchmark_group(format!("fit {size}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(kernels.iter().map(|kernel| kernel.len() as u64).sum()));
        group.bench_function(BenchmarkId::new("dual", "INT4 two sides"), |bencher| {
            bencher.iter(|| {
                for kernel in &kernels {
                    let _ = black_box(search.fit(black_box(kernel), None, &SIDES, 2));
                }
            });
        });
        group.finish();
    }
}

fn activations(criterion: &mut Criterion) {
    let mut noise = Noise(1);
    let signed: Vec<f32> = (0..1 << 20).map(|_| noise.gauss() as f32).collect();
    let relu: Vec<f32> = signed.iter().map(|value| value.max(0.0)).collect();
    let mut group = criterion.benchmark_group("histogram");
    group.sample_size(20);
    group.throughput(Throughput::Elements(signed.len() as u64));
    for (name, values) in [("gauss", &signed), ("relu", &relu)] {
        group.bench_function(BenchmarkId::new("add_slice", name), |bencher| {
            bencher.iter(|| {
                let mut histogram = Histogram::new();
                histogram.add_slice(black_box(values));
                histogram
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("fit_range");
    group.sample_size(20);
    for (name, values) in [("gauss", &signed), ("relu", &relu)] {
        let mut histogram = Histogram::new();
        histogram.add_slice(values);
        for bits in [4, 8, 16] {
            group.bench_function(BenchmarkId::new(name, bits), |bencher| {
                bencher.iter(|| fit_range(black_box(&histogram), bits));
            });
        }
        group.bench_function(BenchmarkId::new(format!("{name} two terms"), 4), |bencher| {
            bencher.iter(|| fit_range_multi(black_box(&histogram), 4, 2));
        });
        group.bench_function(BenchmarkId::new(format!("{name} symmetric"), 8), |bencher| {
            bencher.iter(|| fit_range_symmetric(black_box(&histogram), 8));
        });
    }
    group.finish();
}

criterion_group!(benches, weights, duals, activations);
criterion_main!(benches);
