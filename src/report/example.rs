//! A small conversion that the tests of the reports render.

use crate::options::{Budget, CodeType, Opset, Spelling};
use crate::plan::{
    ActivationDecision, ActivationDetails, ActivationTerm, BiasChange, Budgeted, Change, Codes, Confirmed,
    Counts, Decision, Details, Enough, Float, Gain, Inside, Inspection, Judges, Keep, LayerSensitivity, Loss,
    Outcome, OutputError, Partition, Plan, Prepared, Read, Reason, Reasons, Residuals, Row, ScaleList, Score,
    Sensitivity, SiteRow, Sizes, Skip, SolveStep, Status, StepError, Subject, Summary, Time, Trial, VERSION,
    Validation, Verdict, WeightDecision, WeightDetails, WeightTerm, Written,
};

fn read(slot: usize) -> Read {
    Read { node: "layer1.conv".into(), operator: "Conv".into(), at: 0, slot, within: Vec::new() }
}

fn skip(name: &str, reason: Keep) -> Skip {
    Skip { name: name.into(), operator: "Conv".into(), dims: vec![16], bytes: 64, reason }
}

/// One convolution, weights and input quantized.
pub fn outcome() -> Outcome {
    let weight = WeightDecision {
        float: Float::Float,
        wide_scales: false,
        tensor: "layer1.conv.weight".into(),
        dims: vec![16, 3, 3, 3],
        reads: vec![read(1)],
        terms: vec![WeightTerm {
            code_type: CodeType::Int4,
            partition: Partition::Channel { axis: 0 },
            scales: vec![0.5; 16],
            zero_points: vec![0; 16],
            codes: Codes::new(CodeType::Int4, &[3; 432]),
        }],
        spelling: Spelling::Sum,
        saturation: None,
        sqnr_db: Some(21.5),
        reason: Reasons::from_iter([Reason::Told("least squared error".into())]),
        residuals: Some(Residuals {
            tensor: 2.1e-2,
            channel: Some(7.1e-3),
            block: None,
            single: 7.1e-3,
            dual: Some(1.2e-4),
        }),
        macs: Some(442_368),
        biases: vec![BiasChange {
            read: read(2),
            tensor: Some("layer1.conv.bias".into()),
            values: vec![0.0; 16],
        }],
    };
    let activation = ActivationDecision {
        float: Float::Float,
        wide_scales: false,
        tensor: "input".into(),
        reads: vec![read(0)],
        returned: false,
        terms: vec![ActivationTerm { code_type: CodeType::Uint8, scale: 0.024, zero_point: 0 }],
        range: (0.0, 6.125),
        sqnr_db: None,
        reason: Reasons::from_iter([Reason::Told("least squared error".into())]),
    };
    let plan = Plan {
        version: VERSION,
        tool: "fourbit 0.1.0".into(),
        subject: Subject { file: "net.onnx".into(), sha256: "00".into() },
        precision: "w4a8".into(),
        opset: Opset::default(),
        storage: crate::options::Storage::Packed,
        bias: crate::options::Bias::Float,
        explicit_zero_points: false,
        shapes: Vec::new(),
        calibrated: None,
        generated: None,
        decisions: vec![Decision::Weight(weight), Decision::Activation(activation)],
        skips: vec![
            skip("layer1.conv.bias", Keep::Bias),
            skip("layer2.conv.bias", Keep::Bias),
            skip("gate", Keep::Small { least: 16, saves: 20 }),
        ],
    };
    let prepared = Prepared {
        pass: "fold_batch_norm".into(),
        count: 1,
        detail: "folded into the convolution before".into(),
    };
    Outcome {
        input: "net.onnx".into(),
        output: "out/net.w4a8.onnx".into(),
        opsets: (13, 21),
        prepared: vec![prepared],
        plan,
        calibration: Some(("calib.npz".into(), 64)),
        sizes: Sizes {
            before: 1_060_000,
            after: 156_000,
            ratio: 0.147,
            effective_bits: 4.61,
            quantized_bits: Some(4.22),
            compression: Some(7.58),
            macs: Some(442_368),
            extra_macs: Some(110_592),
        },
        verdict: Verdict::Validated(Box::new(validation())),
        budget: None,
        warnings: vec!["input has a narrow range".into()],
        details: None,
        advice: Vec::new(),
        next: Vec::new(),
        seconds: vec![("read".into(), 0.01), ("solve".into(), 0.25)],
        peak_memory: Some(240_000_000),
    }
}

fn validation() -> Validation {
    Validation {
        source: "test.npz".into(),
        synthetic: false,
        generated: false,
        calibrated_on: false,
        overlap: None,
        samples: 400,
        judge: "tract".into(),
        view: "int8 container".into(),
        weights_proven: 1,
        scores: Some(Score {
            rows: 400,
            float_top1: 0.9125,
            quantized_top1: 0.9075,
            float_top5: Some(0.995),
            quantized_top5: Some(0.9925),
            drop_points: 0.5,
            standard_error: 0.35,
            lost: 3,
            won: 1,
            drop_bound: 1.34,
        }),
        agreement: Some(0.975),
        agreement_bound: Some(0.9587),
        agreement_rows: 400,
        held_back: None,
        inside: Some(inside()),
        outputs: vec![OutputError {
            name: "scores".into(),
            sqnr_db: Some(24.1),
            largest: 0.83,
            broken: 0,
            equal: None,
        }],
        classes: Vec::new(),
        second: None,
        unjudged: None,
        doubts: Vec::new(),
        differing: Vec::new(),
        boxes: None,
    }
}

/// Far better on what it was calibrated on.
fn inside() -> Inside {
    Inside {
        samples: 64,
        calibrated: 64,
        sqnr_db: Some(29.1),
        agreement: Some(0.9844),
        outside_db: Some(24.1),
        gap_db: Some(5.0),
        enough: Some(Enough { samples: 130, at_least: false }),
    }
}

/// A budget that was not kept.
pub fn budgeted() -> Budgeted {
    let loss = Loss {
        noise: 0.01,
        sqnr_db: Some(20.0),
        drop_points: Some(2.5),
        agreement: Some(0.97),
        agreement_bound: Some(0.94),
        ..Loss::default()
    };
    let trial = Trial {
        taken: 3,
        all_samples: true,
        bytes: 250_000,
        effective_bits: 4.5,
        loss,
        expected_drop: Some(2.25),
        drop_bound: Some(4.5),
        expected_agreement: Some(0.965),
        kept: false,
    };
    let asked = Budget {
        max_drop: Some(1.0),
        min_sqnr_db: None,
        min_agreement: Some(0.99),
        max_bytes: Some(260_000),
        max_bits: None,
    };
    Budgeted {
        asked,
        met: false,
        doubts: Vec::new(),
        needed: None,
        needed_for_agreement: None,
        held_back: 170,
        steps: 40,
        taken: 3,
        trials: vec![trial],
        in_the_way: vec![("conv1.weight as int4".into(), 0.4)],
    }
}

/// A model to look into.
pub fn inspection() -> Inspection {
    Inspection {
        file: "net.onnx".into(),
        bytes: 1_060_000,
        ir_version: 8,
        opset: 17,
        producer: "pytorch 2.2".into(),
        quantized_by: None,
        precision: None,
        inputs: vec!["input float32 [N,3,32,32]".into()],
        outputs: vec!["scores float32 [N,10]".into()],
        operators: vec![("Conv".into(), 21), ("Relu".into(), 19)],
        parameters: 268_336,
        effective_bits: Some(32.0),
        sites: vec![SiteRow {
            tensor: "layer1.conv.weight".into(),
            operator: "Conv".into(),
            dims: vec![16, 3, 3, 3],
            axis: Some(0),
            readers: 1,
            bytes: 1728,
            code_type: None,
            block: None,
            value: "layer1.conv.weight".into(),
            nodes: vec!["conv1".into()],
        }],
        activations: Vec::new(),
        skips: vec![skip("layer1.conv.bias", Keep::Bias)],
        faults: vec!["node boxes: NonMaxSuppression is not supported".into()],
        warnings: Vec::new(),
    }
}

/// Three layers: one that a conversion confirmed, one that was estimated, one that was not tried.
pub fn sensitivity() -> Sensitivity {
    let loss = |noise: f64, drop_points: f64| Loss {
        noise,
        sqnr_db: Some(-10.0 * noise.log10()),
        drop_points: Some(drop_points),
        drop_error: Some(0.75),
        ..Loss::default()
    };
    let gain = |samples: usize, sqnr: [f64; 2], top1: [f64; 2]| Gain {
        samples,
        sqnr_db: Change { value: sqnr[0], error: sqnr[1] },
        top1_points: Some(Change { value: top1[0], error: top1[1] }),
        agreement_points: None,
        mended: 0,
    };
    let layer = |tensor: &str| LayerSensitivity {
        tensor: tensor.into(),
        node: format!("{tensor} node"),
        operator: "Gemm".into(),
        weights: 1000,
        bytes_float: 4000,
        bytes_low: 564,
        first_look: Some(0.1),
        estimate: None,
        confirmed: None,
        refused: None,
        exclude: tensor.into(),
        command: Vec::new(),
    };
    let command = ["quantize", "net.onnx", "--exclude", "layer2.weight", "-o", "my net.onnx"];
    let confirmed = Confirmed { gain: gain(512, [3.01, 0.25], [1.5, 0.5]), without: loss(0.04, 2.0) };
    Sensitivity {
        doubts: Vec::new(),
        input: "net.onnx".into(),
        precision: "w4a8".into(),
        calibration: Some(("calib.npz".into(), 512)),
        judges: Judges {
            source: "test.npz".into(),
            samples: 512,
            measured: 64,
            held_back: false,
            left_out: 0,
        },
        solved_on: Some(64),
        whole: loss(0.08, 3.5),
        layers: vec![
            LayerSensitivity {
                estimate: Some(gain(64, [2.5, 0.5], [1.5, 2.0])),
                confirmed: Some(confirmed),
                command: command.map(str::to_owned).to_vec(),
                ..layer("layer2.weight")
            },
            LayerSensitivity { estimate: Some(gain(64, [0.1, 0.06], [0.0, 0.0])), ..layer("layer1.weight") },
            layer("layer0.weight"),
        ],
        warnings: Vec::new(),
        seconds: vec![("confirm".into(), 2.0)],
    }
}

/// One model converted, one with a remark, one failed.
pub fn summary() -> Summary {
    let row = |model: &str, status, reason: Option<&str>| Row {
        model: model.into(),
        status,
        reason: reason.map(str::to_owned),
        bytes_before: Some(1_060_000),
        written: None,
    };
    let written = Written {
        precision: "w4".into(),
        bytes_after: 156_000,
        effective_bits: Some(4.5),
        samples: 800,
        float_top1: Some(0.9125),
        quantized_top1: Some(0.9075),
        drop_points: Some(0.5),
        agreement: Some(0.975),
        sqnr_db: Some(24.1),
        inside_sqnr_db: Some(25.1),
        ..Written::default()
    };
    let plain = Written { bytes_after: 200_000, ..Written::default() };
    let rows = vec![
        Row { written: Some(written), ..row("a/net.onnx", Status::Converted, None) },
        Row { written: Some(plain), ..row("b.onnx", Status::Remarked, Some("not validated: no samples")) },
        row("b/<i>\n\u{1b}\"&.onnx", Status::Failed, Some("no ONNX model")),
    ];
    let time = |model: &str, seconds, peak_memory| Time { model: model.into(), seconds, peak_memory };
    let times = vec![time("a/net.onnx", 61.25, Some(250_000_000)), time("b.onnx", 2.5, None)];
    let (tool, options) = ("fourbit 0.1.0".into(), vec!["--precision=w4".into()]);
    Summary { tool, options, rows, before: 0, times }
}

/// What is known of the layer and its input in [`outcome`].
pub fn details() -> Details {
    let counts = |low: f64, high: f64| Counts { low, high, counts: (0..64).map(|at| at * at % 97).collect() };
    let step = |step, error| StepError { step, error };
    let weight = WeightDetails {
        histogram: counts(-9.5, 8.25),
        codes: (-8, 7),
        clipped: Some(0.002),
        scales: ScaleList { count: 16, values: vec![0.5; 16], quantiles: false },
        steps: vec![step(SolveStep::Nearest, 0.02), step(SolveStep::Refitted, 0.004)],
        own_db: Some(24.0),
        input_db: Some(40.0),
        output_db: Some(23.5),
        added_db: Some(23.6),
        rank: 1,
    };
    let activation = ActivationDetails { histogram: counts(0.0, 6.125), chosen: (0.0, 6.12), clipped: 0.001 };
    Details {
        weights: [("layer1.conv.weight".to_owned(), weight)].into(),
        activations: [("input".to_owned(), activation)].into(),
        samples: 8,
    }
}
