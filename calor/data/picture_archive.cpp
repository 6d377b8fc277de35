// An archive can only be read from its start, so all its pictures are decoded in one pass.
#include "calor/data/picture_archive.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "calor/core/error.h"
#include "calor/data/class_folders.h"
#include "calor/io/archive.h"
#include "calor/io/picture.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t most_bytes = std::uint64_t{8} << 30;
constexpr std::uint64_t most_picture_bytes = std::uint64_t{256} << 20;  // of one packed picture

struct Member {
  std::string name;
  at::Tensor picture;
};

std::string without_leading_dot(const std::string& name) {
  return name.starts_with("./") ? name.substr(2) : name;  // as `tar c .` writes
}

// The members that are pictures, decoded and transformed, sorted by name.
std::vector<Member> decode(const fs::path& archive, const PictureTransform& transform) {
  std::vector<Member> members;
  std::uint64_t bytes = 0;
  const auto visit = [&](const std::string& name, std::span<const std::byte> content) {
    const fs::path path(name);
    if (!io::is_picture_name(path) || path.filename().string().starts_with('.')) return;
    const std::string full_name = fmt::format("{}: {}", archive.string(), name);
    members.push_back(
        {without_leading_dot(name), transform(io::parse_picture(content, full_name))});
    bytes += members.back().picture.nbytes();
    if (bytes > most_bytes) {
      throw Error("an archive of at most 8 GiB of decoded pictures", archive.string() + " has more",
                  "unpack it and name the folder, or set a smaller data.size");
    }
  };
  io::for_each_member(archive, visit, most_picture_bytes);
  if (members.empty()) {
    throw Error("an archive with .png, .jpg or .jpeg pictures", archive.string() + " has none",
                "unpack it and name the file or folder inside that holds the pictures");
  }
  std::ranges::sort(members, {}, &Member::name);
  return members;
}

// All pictures as one tensor [n, channels, H, W]; each member's own is let go on the way.
at::Tensor stack(std::vector<Member>& members, const fs::path& archive) {
  std::int64_t channels = 1;
  for (const Member& member : members) channels = std::max(channels, member.picture.size(0));
  const at::Tensor first = to_channels(members.front().picture, channels);
  const std::string first_name = fmt::format("{}: {}", archive.string(), members.front().name);
  at::Tensor all =
      at::empty({static_cast<std::int64_t>(members.size()), channels, first.size(1), first.size(2)},
                at::kByte);
  auto* out = static_cast<std::byte*>(all.data_ptr());
  for (Member& member : members) {
    const at::Tensor picture = to_channels(member.picture, channels).contiguous();
    check_same_shape(first, first_name, picture, member.name);
    std::memcpy(out, picture.const_data_ptr(), picture.nbytes());
    out += picture.nbytes();
    member.picture = at::Tensor();
  }
  return all;
}

}  // namespace

std::shared_ptr<ImageDataset> make_picture_archive(const fs::path& archive,
                                                   const PictureTransform& transform,
                                                   bool use_labels) {
  std::vector<Member> members = decode(archive, transform);
  at::Tensor pictures = stack(members, archive);
  ItemSpec spec{.channels = pictures.size(1),
                .height = pictures.size(2),
                .width = pictures.size(3),
                .class_names = {}};
  at::Tensor labels;
  if (use_labels) {
    std::vector<std::string> names;
    for (Member& member : members) names.push_back(std::move(member.name));
    ClassLabels found = labels_from_folders(names, archive.string());
    spec.class_names = std::move(found.class_names);
    labels = at::tensor(found.labels, at::kLong);
  }
  return make_tensor_dataset(std::move(spec), std::move(pictures), std::move(labels));
}

}  // namespace calor::data
