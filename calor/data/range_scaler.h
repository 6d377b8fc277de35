// The range of each column, carried to [-1, 1]: the normalisation of robots' observations and
// actions. It travels with the model.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace calor::data {

class RangeScaler {
 public:
  RangeScaler() = default;
  // The ranges of the columns of rows [n, c]. A column of one value is carried to 0 and moved, not
  // stretched. There may be no columns.
  static RangeScaler fit(const at::Tensor& rows);

  // [..., c] to [..., c], in the type of `x`. Values outside the fitted range lie outside [-1, 1].
  at::Tensor to_unit(const at::Tensor& x) const;
  at::Tensor from_unit(const at::Tensor& x) const;

  std::int64_t width() const { return low_.defined() ? low_.numel() : 0; }

  std::string to_json() const;
  // Error naming `origin` where the text is not what to_json makes.
  static RangeScaler from_json(const std::string& text, const std::string& origin);

 private:
  // Half the range, or 1 where there is none.
  at::Tensor half() const;
  at::Tensor middle() const;

  at::Tensor low_, high_;  // fp64 [c]
};

}  // namespace calor::data
