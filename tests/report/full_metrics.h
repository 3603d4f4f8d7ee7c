#pragma once

#include <nlohmann/json.hpp>

namespace detent::test {

/// A metrics.json with all members that a page tells of.
inline nlohmann::json full_metrics() {
  return nlohmann::json::parse(R"json({
    "recipe": "mnist-cnn", "dataset": "mnist", "dataset_description": "mnist from data: 60000 and 10000 images",
    "seed": 1, "threads": 2, "total_seconds": 62.9,
    "fp32": {"test_accuracy": 0.9923, "train_seconds": 46.2, "model_bytes": 4803103, "precision": "fp32"},
    "qat": {"test_accuracy": 0.9925, "train_seconds": 9.06, "model_bytes": 4803734, "precision": "fp32"},
    "int8": {"name": "int8", "method": "qat", "weights": "int8 per-channel symmetric", "improve": [],
             "test_accuracy": 0.9921, "drop": 0.0002, "quantize_seconds": 0.0, "model_bytes": 1206282},
    "verify": {"codes_compared": 778600000, "codes_mismatched": 0, "codes_sha256": "f2d6a6d0", "images": 10000,
               "predictions_changed": 0, "passed": true, "layers": []},
    "not_improved": null,
    "variants": [{"name": "static int8 per-tensor", "method": "static", "weights": "int8 per-tensor symmetric",
                  "improve": [], "test_accuracy": 0.9919, "model_bytes": 1204438, "quantize_seconds": 0.12,
                  "verify": {"codes_compared": 778600000, "codes_mismatched": 0}}],
    "warnings": ["int8: fc1: 42 of 128 channels are always 0; lower learning_rate"],
    "check": {"passed": true, "failures": [], "checked": ["int8_accuracy >= 0.99", "max_drop <= 0.001"]},
    "epochs": [
      {"phase": "float", "epoch": 1, "loss": 0.1791, "accuracy": 0.9459, "validation_loss": 0.07,
       "validation_accuracy": 0.978, "learning_rate": 0.002, "seconds": 15.0},
      {"phase": "float", "epoch": 2, "loss": 0.0482, "accuracy": 0.9851, "validation_loss": 0.04,
       "validation_accuracy": 0.988, "learning_rate": 0.001, "seconds": 31.0},
      {"phase": "qat", "epoch": 1, "loss": 0.0252, "accuracy": 0.9924, "validation_loss": 0.03,
       "validation_accuracy": 0.991, "learning_rate": 0.0002, "seconds": 9.0}],
    "evidence": {
      "models": {
        "fp32.h5": {"confusion": [[978, 2, 0], [1, 1133, 1], [3, 0, 1029]], "calibration_error": 0.0031,
          "latency_ms": {"p50": 0.11, "p90": 0.13, "p99": 0.21, "max": 0.9},
          "throughput": [{"batch": 1, "examples_per_second": 9000}, {"batch": 64, "examples_per_second": 19000}],
          "file_bytes": 4803103, "parameter_bytes": 4799528, "peak_memory_bytes": 5200000, "float_modules": []},
        "int8.h5": {"confusion": [[977, 3, 0], [1, 1132, 2], [3, 0, 1029]], "calibration_error": 0.0034,
          "latency_ms": {"p50": 0.016, "p90": 0.018, "p99": 0.04, "max": 0.2},
          "throughput": [{"batch": 1, "examples_per_second": 62000}, {"batch": 64, "examples_per_second": 80000}],
          "file_bytes": 1206282, "parameter_bytes": 1200000, "peak_memory_bytes": 1400000,
          "float_modules": [{"module": "softmax1", "why": "kept in float by the recipe"}]}},
      "pairs": [{"a": "fp32.h5", "b": "int8.h5", "accuracy_a": 0.9923, "accuracy_b": 0.9921, "points": -0.02,
        "interval": [-0.11, 0.07], "mcnemar_p": 0.69, "a_only": 9, "b_only": 7,
        "flips": [{"index": 5, "label": 4, "a": 4, "b": 9, "margin_a": 0.1, "margin_b": 0.3},
                  {"index": 17, "label": 2, "a": 7, "b": 2, "margin_a": 0.2, "margin_b": 0.05},
                  {"index": 18, "label": 3, "a": 3, "b": 5, "margin_a": 0.4, "margin_b": 0.6}],
        "slices": [{"slice": "class 9", "examples": 1009, "accuracy_a": 0.99, "accuracy_b": 0.97, "points": -2.0,
                    "interval": [-3.1, -0.9]},
                   {"slice": "class 1", "examples": 1135, "accuracy_a": 0.995, "accuracy_b": 0.996, "points": 0.1,
                    "interval": [-0.3, 0.5]}]}],
      "verdict": {"checked": 3, "failures": []}},
    "layers": {"examples": 128, "rows": [
      {"name": "conv1", "kind": "product", "type": "u8", "snr_db": 41.2, "mean_difference": 0.0021,
       "largest_difference": 0.1, "cosine": 0.99997, "saturated": 0.0001, "range_float": [0, 1.6],
       "range_int8": [0, 1.54], "values": {"lower": 0.0, "width": 0.2, "counts": [9, 4, 2, 0, 0, 0, 0, 1],
       "total": 32, "zeros": 16}, "grid": {"scale": 0.1, "zero_point": 0, "qmin": 0, "qmax": 15},
       "weights": {"qmin": -127, "qmax": 127, "codes_a_bar": 51, "counts": [1, 4, 9, 4, 2], "granularity": "channel",
                   "scale": [0.003, 0.0036]}},
      {"name": "fc2", "kind": "product", "type": "u8", "snr_db": 17.5, "mean_difference": 0.5,
       "largest_difference": 3.0, "cosine": 0.98, "saturated": 0.0, "range_float": [-20, 20],
       "range_int8": [-19, 20], "values": {"lower": -20.0, "width": 10.0, "counts": [1, 2, 2, 1], "total": 6,
       "zeros": 0}, "grid": {"scale": 0.156, "zero_point": 125, "qmin": 0, "qmax": 255}, "weights": null}]},
    "model": {"nodes": [
      {"name": "input", "kind": "input", "shape": [28, 28, 1], "type": "f32", "codes": false, "inputs": [],
       "parameters": 0, "multiply_adds": 0, "weight_bits": 0, "note": ""},
      {"name": "conv1", "kind": "product", "shape": [26, 26, 32], "type": "u8", "codes": true, "inputs": [0],
       "parameters": 320, "multiply_adds": 194688, "weight_bits": 8, "note": ""},
      {"name": "conv2", "kind": "product", "shape": [26, 26, 32], "type": "u8", "codes": true, "inputs": [1],
       "parameters": 9248, "multiply_adds": 6230016, "weight_bits": 4, "note": ""},
      {"name": "add1", "kind": "add", "shape": [26, 26, 32], "type": "u8", "codes": true, "inputs": [2, 1],
       "parameters": 0, "multiply_adds": 0, "weight_bits": 0, "note": ""}]},
    "drift": {"examples": 10000, "reference_examples": 1024, "first_left": "conv1", "values": [
      {"value": "input[0]", "feature": "age", "type": "reals", "psi": 0.0123, "ks": 0.02, "psi_by_chance": 0.03,
       "ks_by_chance": 0.06, "mean_shift": -0.05, "unseen": 0.0, "not_finite": 0, "state": "stable",
       "bins": {"bounds": [-1.5, 0.0, 2.5], "before": [0.0, 0.5, 0.5, 0.0], "now": [0.0, 0.48, 0.52, 0.0]}},
      {"value": "conv1", "type": "codes", "psi": 0.5678, "ks": 0.25, "psi_by_chance": 0.0, "ks_by_chance": 0.0,
       "mean_shift": 0.5, "unseen": 0.01, "not_finite": 0, "saturated_before": 0.001, "saturated": 0.05,
       "state": "left its range",
       "bins": {"bounds": [0, 40], "before": [0.25, 0.75, 0.0], "now": [0.09, 0.9, 0.01]}},
      {"value": "fc2", "type": "codes", "psi": 0.15, "ks": 0.1, "psi_by_chance": 0.0, "ks_by_chance": 0.0,
       "mean_shift": null, "unseen": 0.0, "not_finite": 0, "saturated_before": 0.0, "saturated": 0.0,
       "state": "moved", "bins": {"bounds": [100], "before": [0.5, 0.5], "now": [0.4, 0.6]}}],
      "verdict": {"passed": false, "checked": 2, "bounds": ["psi <= 0.25", "ks <= 0.2"],
                  "failures": ["conv1: psi: expected <= 0.25, got 0.5678"]}},
    "record": {"recipe_text": "[train]\nepochs = 2 # \"two\"\n", "overrides": ["train.epochs=3"],
               "command": "detent run mnist-cnn --set train.epochs=3", "versions": {"detent": "0.1.0", "hdf5": "1.10.8"},
               "processor": "x86-64 with AVX-512 VNNI", "data_sha256": "ab12"}
  })json");
}

}  // namespace detent::test
