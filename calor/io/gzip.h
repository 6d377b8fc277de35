// A gzip file read as a stream, with its checksum and length verified and truncation an error.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "calor/io/file.h"

namespace calor::io {

class GzipReader {
 public:
  // `file` must stay alive; its position is neither used nor changed.
  explicit GzipReader(const File& file);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;
  GzipReader(GzipReader&&) = delete;
  GzipReader& operator=(GzipReader&&) = delete;

  // Fills `bytes` with what comes next and returns how many there were: 0 only at the end, after
  // the checksum. Error naming the file where it is damaged or cut short.
  std::size_t read(std::span<std::byte> bytes);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace calor::io
