// PNG and JPEG pictures as tensors. Dimensions are checked before anything is allocated; a
// truncated or damaged picture is an error that names the file, never grey pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string>

namespace calor::io {

// Decodes PNG or JPEG (recognised by the first bytes) to uint8 [channels, H, W], channels 1 or 3
// (0: 1 where the file is grey, else 3). Alpha is composed on white; 16-bit is reduced to 8.
// Error beyond 16,384 pixels a side or 100 million pixels.
at::Tensor read_picture(const std::filesystem::path& path, int channels = 0);
at::Tensor parse_picture(std::span<const std::byte> bytes, const std::string& name_for_errors,
                         int channels = 0);

// uint8 [1 or 3, H, W] to a PNG, atomically; the same picture gives the same bytes.
void write_png(const std::filesystem::path& path, const at::Tensor& picture);

// True for names that end in .png, .jpg or .jpeg (any case).
bool is_picture_name(const std::filesystem::path& path);

}  // namespace calor::io
