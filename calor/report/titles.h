// Small letters for pictures, from a built-in font of dots, and panels with titles.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace calor::report {

// The text as uint8 [8 dot, n x 6 dot], 255 where there is ink; each dot is `dot` pixels wide.
// A character without a letter (beyond ASCII) is a box.
at::Tensor text_picture(const std::string& text, std::int64_t dot);

// `panel` uint8 [1 or 3, H, W] with the title, dark on white, above it: [3, H + bar, W]. A title
// that is too long is cut off. Panels of one width get bars of one height.
at::Tensor with_title(const at::Tensor& panel, const std::string& title);

// Panels uint8 [1 or 3, H, W] from left to right, `gap` white pixels around and between them:
// [3, H + 2 gap, ...]. Error where there is none or heights differ.
at::Tensor side_by_side(const std::vector<at::Tensor>& panels, std::int64_t gap = 8);

}  // namespace calor::report
