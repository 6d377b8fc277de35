// Samples into files, by what they are and by the file's ending.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "calor/data/dataset.h"
#include "calor/data/training_data.h"

namespace calor::app {

class SampleWriter {
 public:
  // UsageError where what would be made cannot be written to a file of that name: known before any
  // work is done. `codecs` of a model of a table.
  SampleWriter(std::string out, const data::ItemSpec& items,
               std::optional<data::TableCodecs> codecs);

  // UsageError where so many pictures do not fit one grid, or would lie among others in a folder.
  void check_count(std::int64_t count) const;
  // items fp32 [N, C, H, W]; `columns` of a grid of pictures, if so many rows fit; 0: about square.
  void write(const at::Tensor& items, std::int64_t columns) const;

 private:
  void check() const;
  bool fits(std::int64_t count, std::int64_t columns) const;
  void write_pictures(const at::Tensor& items, std::int64_t columns) const;
  void write_points(const at::Tensor& rows) const;

  std::string out_, extension_;
  data::ItemSpec items_;
  std::optional<data::TableCodecs> codecs_;
};

}  // namespace calor::app
