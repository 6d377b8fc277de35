// FiLM (Perez et al., 2018) by hand: rows shifted and scaled, a -> scale a + shift, and the
// backward pass, each once through memory. On the calling thread, without a graph; fp32 or
// fp64, contiguous, but that a film tensor may be some columns of a wider one.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// values [rows, width]: product h W^T -> FiLM's result, with a = product + bias [width]:
//     (film_scale + film_bias_scale + 1) a + film_shift + film_bias_shift.
// film [rows, 2 width], FiLM's own product, becomes what the backward pass needs: the whole scale
// and a, in place of the shift. film_bias [2 width].
void film_forward(const at::Tensor& values, const at::Tensor& bias, const at::Tensor& film,
                  const at::Tensor& film_bias);

struct FilmBackward {
  at::Tensor gradient;       // [rows, width]: of the result -> of a
  at::Tensor film;           // [rows, 2 width]: scale and a
  at::Tensor skip;           // [rows, width], added to a's gradient; or undefined
  at::Tensor film_gradient;  // [rows, 2 width], out: of scale and shift
  // [width], += the columns' sums of the gradients of a and of the scale, in order of the rows.
  at::Tensor a_sums, scale_sums;
};
void film_backward(const FilmBackward& task);

}  // namespace calor::net::kernels
