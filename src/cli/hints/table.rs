//! What people write from habits of other tools, and what to write here.

/// Options that fourbit does not have: their names, and what to write instead. A name of two words is that of an option of one
/// subcommand.
pub const OPTIONS: &[(&[&str], &str)] = &[
    // Width
    (
        &["--bits", "--nbits", "--num-bits", "--n-bits", "--bit-width", "--bitwidth", "-b"],
        "write --precision w4 (weights) or w4a8 (weights and activations)",
    ),
    (
        &["--weight-bits", "--wbits", "--w-bits", "--weights-bits", "--weight-type", "--wtype"],
        "write --weights TYPE: int4, uint4, int8, or int2 to int6 and uint2 to uint6",
    ),
    (
        &["--activation-bits", "--abits", "--a-bits", "--activations-bits", "--activation-type", "--atype"],
        "write --activations float, uint8, int8 or int16",
    ),
    (
        &["--quant-type", "--qtype", "--dtype", "--type", "--quantization", "--mode", "--outtype", "-p"],
        "write --precision w4, w4a8, w4a4, w8 or w8a8",
    ),
    (&["--int4", "--w4", "--weight-only"], "write --precision w4"),
    (&["--w4a8"], "write --precision w4a8"),
    (&["--int8", "--uint8", "--w8a8"], "write --precision w8a8"),
    (
        &["--fp16", "--float16", "--half", "--bf16"],
        "it writes integers; write --precision w8 for the least loss",
    ),
    (
        &["--dynamic", "--dynamic-quantization"],
        "write --precision w8 or w4, which leave activations in float",
    ),
    (&["--static", "--static-quantization"], "write --precision w8a8 or w4a8 with --calibration PATH"),
    // Scales
    (
        &["--block-size", "--group-size", "--groupsize", "--blocksize", "--per-block", "--block", "-g"],
        "write --granularity block:32",
    ),
    (&["--per-channel", "--per-axis", "--channelwise"], "write --granularity channel, which is the default"),
    (&["--per-tensor", "--tensorwise"], "write --granularity tensor"),
    (
        &["--symmetric", "--sym", "--is-symmetric", "--weight-symmetric", "--activation-symmetric"],
        "write --symmetric-weights, --symmetric-activations, or both",
    ),
    (
        &["--asymmetric", "--asym", "--zero-point", "--zero-points"],
        "write --weights uint4; activations have zero points by default",
    ),
    (
        &["--reduce-range"],
        "8-bit weights are held to -64..64 where kernels saturate; --full-range turns that off",
    ),
    (
        &["--method", "--algorithm", "--algo", "--gptq", "--awq", "--hqq", "--adaround", "--quant-method"],
        "write --compensation sequential, layerwise, scales or none",
    ),
    (
        &["--calibration-method", "--calibrate-method", "--calib-method", "--percentile", "--mse"],
        "write --scales mmse or min-max",
    ),
    (&["--bias-correction"], "biases are corrected by default; --no-bias-correction turns that off"),
    (&["--equalize", "--cross-layer-equalization", "--cle"], "it chooses scales per output channel instead"),
    // Layers
    (
        &["--exclude-nodes", "--nodes-to-exclude", "--exclude-layers", "--skip", "--keep-float"],
        "write --exclude 'GLOB', which matches names of tensors and nodes",
    ),
    (
        &["--include-nodes", "--nodes-to-quantize", "--include-layers", "--only", "--layers"],
        "write --include 'GLOB', which matches names of tensors and nodes",
    ),
    (
        &["--ops", "--op-types-to-quantize", "--operators", "--op-type", "--ops-to-quantize"],
        "write --op-types LIST, as in Conv,Gemm",
    ),
    (
        &["--config-file", "--layer-config", "--recipe", "-c"],
        "write --config FILE (TOML), with overrides per layer",
    ),
    (
        &["--mixed-precision", "--auto"],
        "write --max-drop POINTS, --min-agreement PERCENT or --min-sqnr DB: layers get more bits until it is met",
    ),
    // Samples
    (
        &["validate --calibration", "validate --calib", "validate --data", "validate --dataset"],
        "write --validation PATH for the samples to compare on",
    ),
    (
        &["--calib", "--calibration-data", "--calib-data", "--calibration-dataset", "--data"],
        "write --calibration PATH",
    ),
    (
        &["--dataset", "--data-dir", "--data-path", "--images", "--image-dir", "--input-data"],
        "write --calibration PATH",
    ),
    (
        &["--val", "--valid", "--validation-data", "--val-data", "--test", "--test-data", "--eval-data"],
        "write --validation PATH",
    ),
    (
        &["--num-samples", "--n-samples", "--nsamples", "--calibration-size", "--calib-size", "-n"],
        "write --max-samples N",
    ),
    (&["--random-seed"], "write --seed N"),
    (
        &["--labels"],
        "labels lie beside samples: key `labels` in .npz, class folders, or labels.csv among pictures",
    ),
    (&["--batch-size"], "samples run one by one, or in batches of the size that the model fixes"),
    (
        &["--input-shape", "--input-shapes", "--dims", "--overwrite-input-shape"],
        "write --shape INPUT:1x3x224x224",
    ),
    // Outputs
    (
        &["--out", "--output-file", "--output-path", "--output-model", "--outfile", "--save", "--save-path"],
        "write -o FILE, or the file behind the model: fourbit quantize MODEL FILE",
    ),
    (&["--output-dir", "--out-dir", "--outdir"], "write -o FILE; fourbit batch SOURCE OUT fills a folder"),
    (
        &["--input", "--model", "--model-path", "--input-model", "--onnx", "--onnx-model", "-i", "-m"],
        "the model stands by itself: fourbit quantize MODEL",
    ),
    (&["--force", "--replace", "--yes", "-f", "-y", "--exist-ok"], "write --overwrite"),
    (
        &["--dry-run", "--dryrun", "--no-write"],
        "write fourbit plan MODEL, which decides everything and writes no model",
    ),
    (&["--html", "--log", "--log-file", "--report-file"], "write --report FILE"),
    (&["--external-data-format", "--save-as-external-data", "--use-external-data"], "write --external-data"),
    (&["--opset-version", "--target-opset", "--onnx-opset"], "write --opset N, or --opset keep"),
    (
        &["--quant-format", "--qdq", "--qoperator", "--format-qdq"],
        "it writes Q/DQ pairs; --matmul-nbits writes MatMulNBits",
    ),
    (
        &["--simplify", "--optimize", "--fold", "--preprocess-model"],
        "normalizations are folded and constants found by themselves",
    ),
    (
        &["--verify", "--check", "--validate"],
        "the written file is always checked; fourbit validate FLOAT QUANTIZED compares two files",
    ),
    // Limits
    (
        &["--tolerance", "--max-loss", "--accuracy-drop", "--max-accuracy-drop", "--target-accuracy"],
        "write --max-drop POINTS",
    ),
    (&["--sqnr", "--snr", "--min-snr"], "write --min-sqnr DB"),
    (
        &["--agreement", "--min-agree", "--agree", "--same-class", "--fidelity"],
        "write --min-agreement PERCENT, as in 98%",
    ),
    (&["--size", "--target-size", "--max-bytes"], "write --max-size SIZE, as in 300kB"),
    // Runtimes and machines
    (
        &["--runtime", "--backend", "--ep", "--provider", "--execution-provider", "--platform", "-t"],
        "write --target NAME; fourbit targets lists the names",
    ),
    (
        &["--device", "--gpu", "--cuda", "--cpu"],
        "it runs on the CPU; --target NAME says which runtime the file is for",
    ),
    (
        &["--threads", "--num-threads", "--workers", "--num-workers", "--cores", "-j", "--parallel"],
        "write --jobs N",
    ),
    // Printing
    (&["--silent", "--no-progress"], "write -q"),
    (&["--debug", "--log-level", "--loglevel", "--detail"], "write -v"),
    (&["--color", "--no-color", "--colour"], "the environment variable NO_COLOR=1 turns colours off"),
    (&["--recursive", "-r"], "write fourbit batch SOURCE OUT, which searches a folder"),
];

/// Options that hold pictures' sizes and numbers under other names.
pub const PICTURES: &[(&[&str], &str)] = &[
    (
        &["--input-size", "--image-size", "--img-size", "--imgsz", "--resolution", "--width", "--height"],
        "write --resize 224 or --resize 224x320; the presets of --preprocess take the size from the model",
    ),
    (&["--center-crop", "--centre-crop", "--crop-size"], "write --crop 224"),
    (
        &["--shorter-side", "--resize-size"],
        "write --resize 256 --crop 224, which scales the shorter side and crops",
    ),
    (&["--normalize", "--norm", "--normalization"], "write --preprocess imagenet, 0..1, -1..1 or 0..255"),
    (&["--scale", "--rescale", "--scale-factor"], "write --divide-by 255"),
    (&["--stddev", "--deviation"], "write --std"),
    (
        &["--layout", "--input-layout", "--channel-order", "--channels", "--bgr", "--rgb", "--gray"],
        "write layout, model_layout or channel_order in a file for --preprocess FILE",
    ),
    (
        &["--transform", "--transforms", "--preprocessing", "--preprocessor"],
        "write --preprocess imagenet, or a file",
    ),
];

/// Values that an option does not take: the option, the values, and what to write instead.
pub const VALUES: &[(&str, &[&str], &str)] = &[
    (
        "--target",
        &["onnxruntime", "ort", "onnx", "cpu", "x86", "x86-64", "ort-web", "onnxruntime-web", "wasm"],
        "write --target ort-cpu (float kernels), ort-cpu-int8 (integer kernels) or portable (any runtime)",
    ),
    (
        "--target",
        &["arm", "arm64", "aarch64", "raspberry-pi", "android", "mobile", "xnnpack"],
        "write --target ort-cpu-int8 for onnxruntime on ARM, or qnn-htp for Qualcomm's NPU",
    ),
    (
        "--target",
        &["tflite", "tflite-micro", "tensorflow", "tensorflow-lite", "litert", "cortex-m", "cmsis-nn"],
        "no target: TensorFlow Lite reads no ONNX. For ONNX on small boards write --target portable, ort-cpu-int8 or tract",
    ),
    (
        "--target",
        &["transformers.js", "transformersjs", "tensorflow.js", "tensorflowjs", "tfjs", "browser", "webnn"],
        "write --target webgpu for onnxruntime-web and Transformers.js; TensorFlow.js reads no ONNX",
    ),
    (
        "--target",
        &["cuda", "gpu", "nvidia", "trt"],
        "write --target tensorrt, or ort-cpu for onnxruntime's CUDA provider",
    ),
    ("--target", &["qualcomm", "qnn", "hexagon", "snapdragon", "npu"], "write --target qnn-htp"),
    ("--target", &["intel", "vpu"], "write --target openvino"),
    ("--target", &["windows", "dml"], "write --target directml"),
    (
        "--target",
        &["coreml", "apple", "ios"],
        "no target: Core ML reads no ONNX. For onnxruntime on Apple write --target ort-cpu",
    ),
    ("--precision", &["4", "uint4", "q4", "q4_0", "nf4", "w4a16", "w4a32"], "write --precision w4"),
    (
        "--precision",
        &["8", "uint8", "q8", "q8_0", "w8a16", "w8a32"],
        "write --precision w8 (weights) or w8a8",
    ),
    (
        "--precision",
        &["fp16", "float16", "bf16", "half"],
        "fourbit writes integers; write --precision w8 for the least loss",
    ),
    ("--precision", &["2", "int2", "uint2", "w2a16", "w1", "w1.58"], "write --precision w2, the fewest bits"),
    ("--precision", &["3", "int3", "uint3", "q3", "w3a16"], "write --precision w3"),
    ("--precision", &["5", "int5", "uint5", "q5", "w5a16"], "write --precision w5"),
    ("--precision", &["6", "int6", "uint6", "q6", "w6a16"], "write --precision w6"),
    ("--precision", &["7", "int7", "w7", "w7a8"], "write --precision w6 or w8"),
    (
        "--weights",
        &["2", "3", "4", "5", "6", "7", "8", "uint8"],
        "write --weights int4, uint4, int8, float, or int2 to int6 and uint2 to uint6",
    ),
    (
        "--activations",
        &["int2", "uint2", "int3", "uint3", "int5", "uint5", "int6", "uint6"],
        "activations have 4, 8 or 16 bits; write --activations uint8, int8, uint4, int4 or int16",
    ),
    (
        "--activations",
        &["4", "8", "16", "uint16"],
        "write --activations float, uint8, int8, uint4, int4 or int16",
    ),
    (
        "--granularity",
        &["block", "group", "per-block", "per-group", "blockwise"],
        "write --granularity block:32",
    ),
    ("--granularity", &["row", "axis", "kernel", "column"], "write --granularity channel"),
    ("--compensation", &["gptq", "true", "full"], "write --compensation sequential"),
    ("--scales", &["percentile", "entropy", "kl", "mse"], "write --scales mmse"),
    ("--scales", &["minmax", "max"], "write --scales min-max"),
    ("--storage", &["int4", "uint4", "4"], "write --storage packed"),
    ("--placement", &["all", "full", "qdq"], "write --placement everywhere"),
    ("--placement", &["residual", "add", "concat"], "write --placement joins"),
];

/// Subcommands that fourbit does not have.
pub const SUBCOMMANDS: &[(&[&str], &str)] = &[
    (&["difference", "compare-models"], "write fourbit diff ONE OTHER"),
    (
        &["compare", "evaluate", "eval", "test", "benchmark", "accuracy"],
        "write fourbit validate FLOAT QUANTIZED",
    ),
    (&["convert", "compress", "quantise", "quant", "run", "optimize"], "write fourbit quantize MODEL"),
    (&["info", "show", "list", "view", "summary", "layers"], "write fourbit inspect MODEL"),
    (&["analyze", "analyse", "rank"], "write fourbit sensitivity MODEL"),
    (&["verify", "lint"], "write fourbit check MODEL --target NAME"),
    (&["dry-run", "preview"], "write fourbit plan MODEL"),
    (&["calibrate"], "write fourbit quantize MODEL --calibration PATH"),
    (&["runtimes", "backends"], "write fourbit targets"),
    (&["version"], "write fourbit --version"),
    (&["completion", "autocomplete"], "write fourbit completions SHELL"),
];
