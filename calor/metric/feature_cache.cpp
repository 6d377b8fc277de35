#include "calor/metric/feature_cache.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <string>
#include <utility>

#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/io/bytes.h"
#include "calor/io/safetensors.h"

namespace calor::metric {
namespace {

namespace fs = std::filesystem;

std::string checksum_of(const at::Tensor& tensor) {
  return io::checksum(io::bytes_of(io::to_plain(tensor)));
}

// Of what is read and how: a change of either is a change of the text.
std::string content_of(const fs::path& weights, const at::Tensor& pictures) {
  return fmt::format("calor features 1; weights {}; pictures {} [{}]",
                     io::checksum_of_file(weights), checksum_of(pictures),
                     fmt::join(pictures.sizes(), ", "));
}

fs::path file_in(const fs::path& folder, const std::string& content) {
  return folder / (io::checksum(io::as_bytes(content)) + ".safetensors");
}

std::string sum_of(const Reading& reading) {
  return checksum_of(reading.features) + checksum_of(reading.logits);
}

// Features are fp32 numbers in float64: nothing is lost.
void write(const fs::path& file, const std::string& content, const Reading& reading) {
  io::make_folder(file.parent_path());
  io::write_safetensors(
      file, {.tensors = {{"features", reading.features.to(at::kFloat)}, {"logits", reading.logits}},
             .metadata = {{"content", content}, {"checksum", sum_of(reading)}}});
}

std::optional<Reading> read_whole(const fs::path& file, const std::string& content,
                                  std::int64_t pictures) {
  const io::TensorFile stored = io::read_safetensors(file);
  const auto says = [&](const char* key, const std::string& text) {
    const auto found = stored.metadata.find(key);
    return found != stored.metadata.end() && found->second == text;
  };
  const Reading reading{.features = stored.at("features").to(at::kDouble),
                        .logits = stored.at("logits")};
  const bool whole = reading.features.dim() == 2 && reading.features.size(0) == pictures &&
                     says("content", content) && says("checksum", sum_of(reading));
  return whole ? std::optional(reading) : std::nullopt;
}

// A file that is missing or damaged is as good as none.
std::optional<Reading> find(const fs::path& file, const std::string& content,
                            std::int64_t pictures) {
  try {
    return read_whole(file, content, pictures);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

fs::path FeatureCache::file_of(const fs::path& weights, const at::Tensor& pictures) const {
  if (folder_.empty()) return {};
  return file_in(folder_, content_of(weights, pictures));
}

CachedReading FeatureCache::read(const Classifier& classifier, const fs::path& weights,
                                 const at::Tensor& pictures,
                                 const std::function<void()>& before_piece) const {
  if (folder_.empty()) return {.reading = classifier.read(pictures, before_piece)};
  const std::string content = content_of(weights, pictures);
  const fs::path file = file_in(folder_, content);
  if (const auto found = find(file, content, pictures.size(0))) {
    return {.reading = *found, .found = true, .kept = true};
  }
  CachedReading made{.reading = classifier.read(pictures, before_piece)};
  try {
    write(file, content, made.reading);
    made.kept = true;
  } catch (const Error&) {
    // A full disk or a folder that may not be written costs the next evaluation some time, no more.
  }
  return made;
}

}  // namespace calor::metric
