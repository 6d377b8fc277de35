// The columns that condition a model of a table, as numbers for its network: nothing is drawn at
// random, and no density is asked of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "calor/data/table.h"

namespace calor::data {

// A column of numbers is one number, standardised or made normal as TableOptions::encoding says
// (of the value itself: Phi^-1(F(x)) with the middle of its cell), and where training has missing
// cells a second, 1 where the cell is missing and the first is 0. Categories and ordinals are
// one-hot, with one place more for missing cells where training has them.
class ConditionCodec {
 public:
  // `columns`: empty: condition_columns(train, options), which may be none. Errors as TableCodec.
  static ConditionCodec fit(const Table& train, const TableOptions& options,
                            const std::vector<std::string>& columns = {});

  // fp64 [n, width]. The table needs the columns of conditions only. Errors as TableCodec::encode.
  at::Tensor encode(const Table& table) const;

  std::int64_t width() const;
  const std::vector<std::string>& column_names() const;
  std::string describe() const;

  std::string to_json() const;
  static ConditionCodec from_json(const std::string& json, const std::string& file);

 private:
  struct Parts;
  explicit ConditionCodec(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

}  // namespace calor::data
