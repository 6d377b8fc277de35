// A folder of pictures: names, sizes and labels in memory, pixels on disk.
#include "calor/data/image_folder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/class_folders.h"
#include "calor/io/atomic_file.h"
#include "calor/io/picture.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr int deepest_folder = 16;           // symbolic links can make a ring
constexpr std::size_t pictures_probed = 64;  // to learn the shape

struct PictureFile {
  std::string name;  // relative to the folder, with '/'
  std::uintmax_t bytes = 0;
};

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

std::vector<PictureFile> find_pictures(const fs::path& folder) {
  std::vector<PictureFile> files;
  try {
    fs::recursive_directory_iterator it(folder, fs::directory_options::follow_directory_symlink);
    for (; it != fs::recursive_directory_iterator(); ++it) {
      if (it->is_directory()) {
        if (is_hidden(it->path()) || it.depth() >= deepest_folder) it.disable_recursion_pending();
      } else if (io::is_picture_name(it->path()) && !is_hidden(it->path())) {
        files.push_back({it->path().lexically_relative(folder).generic_string(), it->file_size()});
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw Error("a folder of pictures whose files can all be listed",
                fmt::format("{}: {}", error.path1().string(), error.code().message()),
                "make it readable, or remove what cannot be read");
  }
  if (files.empty()) {
    throw Error("a folder with .png, .jpg or .jpeg pictures, in it or in its sub-folders",
                folder.string() + " has none", "name the folder that holds the pictures");
  }
  std::ranges::sort(files, {}, &PictureFile::name);
  return files;
}

class ImageFolder final : public ImageDataset {
 public:
  ImageFolder(fs::path folder, const PictureTransform& transform, bool use_labels)
      : folder_(std::move(folder)), transform_(transform), files_(find_pictures(folder_)) {
    if (use_labels) {
      std::vector<std::string> names;
      for (const PictureFile& file : files_) names.push_back(file.name);
      ClassLabels found = labels_from_folders(names, folder_.string());
      spec_.class_names = std::move(found.class_names);
      labels_ = std::move(found.labels);
    }
    learn_shape();
  }

  const ItemSpec& spec() const override { return spec_; }
  std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }

  at::Tensor picture(std::int64_t i) const override {
    at::Tensor picture = transform_(io::read_picture(path(i)));
    // A few grey pictures among coloured ones lose nothing by the conversion; the reverse would.
    if (picture.size(0) < spec_.channels) picture = to_channels(picture, spec_.channels);
    check_same_shape(first_, path(0).string(), picture, path(i).string());
    return picture;
  }

  std::int64_t label(std::int64_t i) const override {
    return labels_.empty() ? 0 : labels_[static_cast<std::size_t>(i)];
  }

  std::string fingerprint() const override {
    std::string text =
        fmt::format("{} {} {} {}\n", spec_.channels, spec_.height, spec_.width, transform_.pad);
    for (const std::string& name : spec_.class_names) text += name + '\n';
    for (std::size_t i = 0; i < files_.size(); ++i) {
      text += fmt::format("{} {} {}\n", files_[i].name, files_[i].bytes,
                          label(static_cast<std::int64_t>(i)));
    }
    return io::checksum(std::as_bytes(std::span(text)));
  }

 private:
  fs::path path(std::int64_t i) const { return folder_ / files_[static_cast<std::size_t>(i)].name; }

  void learn_shape() {
    const std::size_t count = std::min(files_.size(), pictures_probed);
    std::vector<std::pair<at::Tensor, std::string>> probes;
    for (std::size_t k = 0; k < count; ++k) {
      const auto i =
          static_cast<std::int64_t>(k * (files_.size() - 1) / std::max<std::size_t>(1, count - 1));
      probes.emplace_back(transform_(io::read_picture(path(i))), path(i).string());
      spec_.channels = std::max(spec_.channels, probes.back().first.size(0));
    }
    for (auto& [picture, name] : probes) {
      picture = to_channels(picture, spec_.channels);
      check_same_shape(probes.front().first, probes.front().second, picture, name);
    }
    first_ = probes.front().first;
    spec_.height = first_.size(1);
    spec_.width = first_.size(2);
  }

  fs::path folder_;
  PictureTransform transform_;
  std::vector<PictureFile> files_;
  std::vector<std::int64_t> labels_;
  ItemSpec spec_;
  at::Tensor first_;  // the first picture: its shape is everyone's
};

}  // namespace

std::shared_ptr<ImageDataset> make_image_folder(const fs::path& folder,
                                                const PictureTransform& transform,
                                                bool use_labels) {
  return std::make_shared<ImageFolder>(folder, transform, use_labels);
}

}  // namespace calor::data
