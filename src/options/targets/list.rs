//! The runtimes that are known: one record each, with where it is from. A new one is a record and a word in [`TARGETS`].

use super::{Blocks, Contrib, Form, Scales, Standing, Target, Usual};
use crate::options::{Bias, CodeType, Granularity, NEWEST_OPSET, Placement, Spelling, Storage};

/// All of them, in the order in which they are listed.
pub const TARGETS: &[&Target] = &[
    &GENERIC,
    &PORTABLE,
    &ORT_CPU,
    &ORT_CPU_INT8,
    &OPENVINO,
    &TENSORRT,
    &QNN_HTP,
    &DIRECTML,
    &WEBGPU,
    &TRACT,
];

/// Operators that multiply a matrix.
const PRODUCTS: &[&str] = &["Gemm", "MatMul"];
/// Operators that other runtimes than the most complete ones know with quantized weights.
const LAYERS: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul"];
const ALL: &[&str] =
    &["Conv", "ConvTranspose", "Gemm", "MatMul", "Gather", "LSTM", "GRU", "RNN", "Einsum", "DeformConv"];
const UNDEFORMED: &[&str] =
    &["Conv", "ConvTranspose", "Gemm", "MatMul", "Gather", "LSTM", "GRU", "RNN", "Einsum"];
/// Layers of onnxruntime's own, which it runs in float: no kernel of them takes codes.
const FUSED: &[&str] = &[
    "com.microsoft.FusedConv",
    "com.microsoft.FusedGemm",
    "com.microsoft.FusedMatMul",
    "com.microsoft.Attention",
    "com.microsoft.EmbedLayerNormalization",
];
const RECURRENT: &[&str] = &["LSTM", "GRU", "RNN"];
const UNRECURRENT: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul", "Gather", "Einsum"];
const FOUR_OR_EIGHT: &[CodeType] = &[CodeType::Int4, CodeType::Uint4, CodeType::Int8, CodeType::Uint8];
/// Operators of which onnxruntime's CPU provider makes integer kernels.
const INTEGER: &[&str] = &["Conv", "Gemm", "MatMul"];
/// Operators of which OpenVINO's CPU plugin does.
const INTEGER_OPENVINO: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"];
const EIGHT: &[CodeType] = &[CodeType::Int8, CodeType::Uint8];
const FLOAT: &[Option<CodeType>] = &[None];
const ROUNDED: &[Option<CodeType>] = &[
    Some(CodeType::Uint8),
    Some(CodeType::Int8),
    Some(CodeType::Uint4),
    Some(CodeType::Int4),
    Some(CodeType::Int16),
];
/// Types of rounded activations without the 16-bit type.
const SHORT: &[Option<CodeType>] =
    &[Some(CodeType::Uint8), Some(CodeType::Int8), Some(CodeType::Uint4), Some(CodeType::Int4)];
const EIGHT_BITS: &[Option<CodeType>] = &[Some(CodeType::Uint8), Some(CodeType::Int8)];

const ANY_BLOCKS: Option<Blocks> =
    Some(Blocks { sizes: (1, usize::MAX), powers_of_two: false, divides: false });
const ANY_SCALES: Scales = Scales { tensor: true, channel: true, blocks: ANY_BLOCKS };
const DIVIDING: Scales = Scales {
    tensor: true,
    channel: true,
    blocks: Some(Blocks { sizes: (1, usize::MAX), powers_of_two: false, divides: true }),
};
const NO_BLOCKS: Scales = Scales { tensor: true, channel: true, blocks: None };

/// Weights that meet float activations, as DequantizeLinear of opset 21 can say them.
const FLOATING: Form = Form {
    operators: ALL,
    weights: FOUR_OR_EIGHT,
    scales: ANY_SCALES,
    zero_points: true,
    activations: FLOAT,
    activation_zero_points: false,
};
/// Packed weights beside rounded activations.
const PACKED: Form = Form {
    weights: &[CodeType::Int4, CodeType::Uint4],
    activations: ROUNDED,
    activation_zero_points: true,
    ..FLOATING
};
/// Weights of eight bits beside rounded activations. onnxruntime 1.32 makes integer kernels of these, which know no blocks: with
/// blocks they fail, or compute something else.
const WIDE: Form = Form { weights: EIGHT, scales: NO_BLOCKS, ..PACKED };

const PLAIN: Usual = Usual {
    storages: (Storage::Packed, Storage::Packed),
    granularities: (Granularity::Channel, Granularity::Channel),
    activations: CodeType::Uint8,
    placement: Placement::Inputs,
    matmul_nbits: false,
};

const BOTH_DUAL: &[Spelling] = &[Spelling::Sum, Spelling::Branches];

/// What is written where no target is named: whatever the standard has a form for.
/// Source: ONNX operators QuantizeLinear-21 and DequantizeLinear-21. Whoever names no target may run the file in onnxruntime or
/// OpenVINO, so that it is kept from saturating in either.
pub const GENERIC: Target = Target {
    name: "generic",
    runtime: "any that implements ONNX",
    standing: Standing::Tested,
    forms: &[FLOATING, PACKED, WIDE, Form { operators: FUSED, ..FLOATING }],
    explicit_zero_points: false,
    matmul_nbits: true,
    contrib: Contrib::All,
    integer_operators: true,
    saturating: INTEGER_OPENVINO,
    own_runtime: false,
    in_float: None,
    dual: BOTH_DUAL,
    opsets: (1, NEWEST_OPSET),
    biases: &[Bias::Float, Bias::Int32],
    usual: PLAIN,
};

/// What any runtime of the last years takes: operators of opset 13, no type below eight bits, no domain but the standard's.
/// Source: run with onnxruntime 1.17 and 1.32, OpenVINO 2026.4 and tract 0.23.9.
const PORTABLE: Target = Target {
    name: "portable",
    runtime: "any that knows opset 13",
    forms: &[
        Form { operators: UNDEFORMED, weights: EIGHT, scales: NO_BLOCKS, ..FLOATING },
        Form { operators: LAYERS, activations: EIGHT_BITS, ..WIDE },
    ],
    explicit_zero_points: true,
    matmul_nbits: false,
    contrib: Contrib::No,
    integer_operators: false,
    dual: BOTH_DUAL,
    opsets: (7, NEWEST_OPSET),
    usual: Usual { storages: (Storage::Bytes, Storage::Bytes), ..PLAIN },
    ..GENERIC
};

/// Source: run with onnxruntime 1.17 and 1.32. They dequantize packed weights in every run, and fold the operators that unpack bytes
/// while they load; INT4 behind Cast needs 1.23. A large product is fastest, and takes least memory, as MatMulNBits.
/// Single layers with weights of any code, on a processor with AVX2 and no VNNI: QLinearConv, QGemm, QLinearMatMul and
/// MatMulIntegerToFloat saturate, also with INT8 activations, and codes of -64 to 64 are exact; so are depthwise QLinearConv,
/// and UINT8 weights with zero points of 128.
const ORT_CPU: Target = Target {
    name: "ort-cpu",
    runtime: "onnxruntime, CPU, float kernels",
    forms: &[FLOATING, PACKED, WIDE, Form { operators: FUSED, ..FLOATING }],
    saturating: INTEGER,
    usual: Usual { storages: (Storage::Bytes, Storage::Bytes), matmul_nbits: true, ..PLAIN },
    ..GENERIC
};

/// Source: run with onnxruntime 1.32: QLinearConv, QGemm and QLinearAdd come of these pairs around 8-bit codes, which
/// operators may unpack. Relu and Clip
/// vanish into unsigned codes only, so that a Conv wants these; a QGemm needs its weights' zero point and an INT32 bias. ConvTranspose has no integer kernel
/// there, nor has anything that is not a product.
const ORT_CPU_INT8: Target = Target {
    name: "ort-cpu-int8",
    runtime: "onnxruntime, CPU, integer kernels",
    forms: &[
        Form {
            operators: &["Conv", "Gemm", "MatMul"],
            weights: EIGHT,
            scales: NO_BLOCKS,
            zero_points: true,
            activations: &[Some(CodeType::Uint8)],
            activation_zero_points: true,
        },
        Form { operators: PRODUCTS, activations: &[Some(CodeType::Int8)], ..WIDE },
        Form {
            operators: &["ConvTranspose", "Gather", "LSTM", "GRU", "RNN", "Einsum", "DeformConv"],
            weights: EIGHT,
            ..FLOATING
        },
        Form { operators: FUSED, weights: EIGHT, ..FLOATING },
    ],
    explicit_zero_points: true,
    matmul_nbits: false,
    saturating: INTEGER,
    dual: &[],
    in_float: Some(&ORT_CPU),
    opsets: (11, NEWEST_OPSET),
    biases: &[Bias::Int32, Bias::Float],
    usual: Usual { storages: (Storage::Bytes, Storage::Bytes), placement: Placement::Outputs, ..PLAIN },
    ..GENERIC
};

/// Source: run with OpenVINO 2026.4, which refuses blocks that do not divide their axis, has no DeformConv of these opsets, and
/// gives wrong numbers, without an error, for 16-bit activations. Its integer kernels take 8-bit storage only, and recurrent weights
/// of eight bits keep a model with rounded activations from being compiled. Products saturate as those of onnxruntime do, those of
/// ConvTranspose and Einsum too; depthwise convolutions are exact.
const OPENVINO: Target = Target {
    name: "openvino",
    runtime: "OpenVINO, CPU",
    forms: &[
        Form { operators: UNRECURRENT, scales: DIVIDING, ..FLOATING },
        Form {
            operators: RECURRENT,
            weights: &[CodeType::Int4, CodeType::Uint4],
            scales: DIVIDING,
            ..FLOATING
        },
        Form { operators: UNRECURRENT, scales: DIVIDING, activations: SHORT, ..PACKED },
        Form { operators: UNRECURRENT, activations: SHORT, ..WIDE },
    ],
    contrib: Contrib::Linear,
    saturating: INTEGER_OPENVINO,
    usual: Usual { storages: (Storage::Cast, Storage::Cast), ..PLAIN },
    ..GENERIC
};

/// Source: TensorRT documentation, "Quantization Schemes" (INT4: weights only, per block of 64 or 128 along one of the last
/// two dimensions; symmetric) and "Working with Quantized Types" (INT8: weights and activations centred on zero; INT32
/// biases behind a DequantizeLinear are refused).
const TENSORRT: Target = Target {
    name: "tensorrt",
    runtime: "TensorRT 10 and newer",
    standing: Standing::Documented,
    forms: &[
        Form {
            operators: PRODUCTS,
            weights: &[CodeType::Int4],
            scales: Scales {
                tensor: false,
                channel: false,
                blocks: Some(Blocks { sizes: (64, 128), powers_of_two: true, divides: true }),
            },
            zero_points: false,
            activations: FLOAT,
            activation_zero_points: false,
        },
        Form {
            operators: LAYERS,
            weights: &[CodeType::Int8],
            scales: NO_BLOCKS,
            zero_points: false,
            activations: &[Some(CodeType::Int8)],
            activation_zero_points: false,
        },
    ],
    matmul_nbits: false,
    contrib: Contrib::No,
    integer_operators: false,
    dual: &[Spelling::Branches],
    opsets: (13, NEWEST_OPSET),
    biases: &[Bias::Float],
    usual: Usual {
        storages: (Storage::Packed, Storage::Int8),
        granularities: (Granularity::Block(128), Granularity::Channel),
        activations: CodeType::Int8,
        placement: Placement::Joins,
        matmul_nbits: false,
    },
    saturating: &[],
    ..GENERIC
};

/// Source: Qualcomm, "HTP guidelines for INT4 weights" (per channel and symmetric, with quantized activations), and
/// onnxruntime's documentation of its QNN execution provider (every operator between pairs, INT32 biases).
const QNN_HTP: Target = Target {
    name: "qnn-htp",
    runtime: "Qualcomm HTP through onnxruntime's QNN provider",
    standing: Standing::Documented,
    forms: &[Form {
        operators: LAYERS,
        weights: &[CodeType::Int4, CodeType::Int8],
        scales: NO_BLOCKS,
        zero_points: false,
        activations: &[Some(CodeType::Uint8)],
        activation_zero_points: true,
    }],
    matmul_nbits: false,
    integer_operators: false,
    dual: &[Spelling::Branches],
    opsets: (13, NEWEST_OPSET),
    biases: &[Bias::Int32],
    usual: Usual { placement: Placement::Everywhere, ..PLAIN },
    saturating: &[],
    ..GENERIC
};

/// Source: onnxruntime pull request 21592 (4-bit DequantizeLinear) and issue 25445 (a missing zero point of an unsigned type is
/// not taken as 0).
const DIRECTML: Target = Target {
    name: "directml",
    runtime: "DirectML through onnxruntime",
    standing: Standing::Documented,
    forms: &[
        Form { operators: LAYERS, ..FLOATING },
        Form { operators: LAYERS, activations: EIGHT_BITS, ..PACKED },
        Form { operators: LAYERS, activations: EIGHT_BITS, ..WIDE },
    ],
    explicit_zero_points: true,
    saturating: &[],
    ..GENERIC
};

/// Source: onnxruntime pull request 24268 (DequantizeLinear), issues 32730 and 32578 (wrong numbers for 1-D blocks, which no
/// weights of these operators have).
const WEBGPU: Target = Target {
    name: "webgpu",
    runtime: "WebGPU through onnxruntime",
    standing: Standing::Documented,
    forms: &[Form { operators: LAYERS, ..FLOATING }],
    explicit_zero_points: true,
    usual: Usual { matmul_nbits: true, ..PLAIN },
    saturating: &[],
    ..GENERIC
};

/// Source: run with tract 0.23.9, which knows no 4-bit types and no blocks in DequantizeLinear.
const TRACT: Target = Target {
    name: "tract",
    runtime: "tract 0.23.9",
    forms: &[Form {
        operators: UNDEFORMED,
        weights: EIGHT,
        scales: NO_BLOCKS,
        zero_points: true,
        activations: &[None, Some(CodeType::Uint8), Some(CodeType::Int8)],
        activation_zero_points: true,
    }],
    own_runtime: true,
    matmul_nbits: false,
    contrib: Contrib::No,
    opsets: (1, NEWEST_OPSET),
    usual: Usual { storages: (Storage::Int8, Storage::Int8), ..PLAIN },
    saturating: &[],
    ..GENERIC
};
