// The number format of matrix products, and which library multiplies. Both are decided once, when a
// run begins, and kept in its configuration: a choice that changed in the middle would change bits.
#pragma once

#include <ATen/core/Tensor.h>

#include "calor/config/options.h"

namespace calor::net {

enum class Precision { automatic, fp32, bf16 };

// Whether this machine multiplies bf16 natively (AVX512_BF16 or AMX; any GPU since Ampere).
bool has_native_bf16(at::Device device);

// `automatic` becomes bf16 where it is native, fp32 elsewhere.
Precision resolve(Precision precision, at::Device device);

void declare_precision(config::Options& options, const char* key, Precision& precision);

// Which library multiplies fp32 matrices on the CPU: LibTorch's default (MKL), which runs at half
// speed on AMD, or oneDNN, which on machines with AMX would round to bf16.
enum class Products { automatic, standard, onednn };

// `automatic` becomes onednn where it is measured to be faster here by a quarter or more and its
// error against float64 is that of exact fp32, standard elsewhere. Measured once a process, on one
// typical product.
Products resolve(Products products);
// Takes effect for the whole process; `automatic` as resolved.
void use(Products products);
void declare_products(config::Options& options, const char* key, Products& products);

}  // namespace calor::net
