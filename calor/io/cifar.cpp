#include "calor/io/cifar.h"

#include <fmt/format.h>

#include <algorithm>

#include "calor/core/error.h"
#include "calor/io/archive.h"
#include "calor/io/bytes.h"

namespace calor::io {
namespace {

constexpr std::size_t picture_bytes = std::size_t{3} * 32 * 32;
constexpr std::size_t record_bytes = 1 + picture_bytes;
constexpr std::int64_t classes = 10;

}  // namespace

// https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version"
CifarRecords parse_cifar10(std::span<const std::byte> bytes, const std::string& name_for_errors) {
  if (bytes.empty() || bytes.size() % record_bytes != 0) {
    throw Error(fmt::format("CIFAR-10 records of {} bytes each", record_bytes),
                fmt::format("{}: {} bytes", name_for_errors, bytes.size()),
                "download the binary version (cifar-10-binary.tar.gz) again");
  }
  const auto count = static_cast<std::int64_t>(bytes.size() / record_bytes);
  CifarRecords records{allocate({count, 3, 32, 32}, at::kByte, name_for_errors),
                       allocate({count}, at::kLong, name_for_errors)};
  auto picture = writable_bytes(records.pictures).begin();
  auto* const labels = records.labels.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto record = bytes.subspan(static_cast<std::size_t>(i) * record_bytes, record_bytes);
    labels[i] = std::to_integer<std::int64_t>(record[0]);
    if (labels[i] >= classes) {
      throw Error("labels from 0 to 9",
                  fmt::format("{}: label {} of record {}", name_for_errors, labels[i], i),
                  "the file is damaged or not CIFAR-10: download it again");
    }
    picture = std::copy(record.begin() + 1, record.end(), picture);
  }
  return records;
}

CifarRecords read_cifar10(const std::filesystem::path& path) {
  return parse_cifar10(read_maybe_gzip(path), path.string());
}

}  // namespace calor::io
