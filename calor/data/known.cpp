// The sets that Calor knows by name, and where it looks for them.
#include <fmt/format.h>

#include <cstdlib>
#include <system_error>

#include "calor/data/open.h"
#include "calor/data/user_folders.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

// A listed file, or the same unpacked; empty where neither is there.
fs::path find_file(const fs::path& folder, const std::string& file) {
  std::error_code error;
  const fs::path listed = folder / file;
  if (fs::exists(listed, error)) return listed;
  if (listed.extension() == ".gz") {
    const fs::path unpacked = fs::path(listed).replace_extension();
    if (fs::exists(unpacked, error)) return unpacked;
  }
  return {};
}

// Packed IDX files of pictures and labels, as MNIST and its relatives are given out.
KnownDataset idx_set(std::string name, std::string description, const std::string& folder,
                     const std::string& part, const std::string& address,
                     std::vector<std::string> class_names) {
  const std::string images = part + "-images-idx3-ubyte.gz";
  const std::string labels = part + "-labels-idx1-ubyte.gz";
  return {.name = std::move(name),
          .description = std::move(description),
          .how_to_get = fmt::format("curl --create-dirs --output-dir ~/.cache/calor/{} -O {}/{} "
                                    "-O {}/{}",
                                    folder, address, images, address, labels),
          .files = {folder + "/" + images, folder + "/" + labels},
          .path = folder + "/" + images,
          .class_names = std::move(class_names)};
}

std::vector<std::string> digits() { return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; }

std::vector<std::string> clothes() {
  return {"t-shirt", "trouser", "pullover", "dress", "coat",
          "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
}

KnownDataset cifar10() {
  KnownDataset set{.name = "cifar10",
                   .description =
                       "CIFAR-10, training part: 50,000 colour photos 32 x 32 of 10 "
                       "kinds of animals and vehicles",
                   .how_to_get =
                       "mkdir -p ~/.cache/calor && curl -L "
                       "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz | "
                       "tar xz -C ~/.cache/calor",
                   .files = {},
                   .path = "cifar-10-batches-bin",
                   .class_names = {}};
  for (int i = 1; i <= 5; ++i)
    set.files.push_back(fmt::format("{}/data_batch_{}.bin", set.path, i));
  return set;
}

KnownDataset cifar10_test() {
  KnownDataset set = cifar10();
  set.name = "cifar10-test";
  set.description = "CIFAR-10, test part: 10,000 photos of the same kinds";
  set.path += "/test_batch.bin";
  set.files = {set.path};
  return set;
}

// A set of one file that has no public address.
KnownDataset local_file(std::string name, std::string description, const std::string& file,
                        const std::string& instead) {
  return {.name = std::move(name),
          .description = std::move(description),
          .how_to_get = fmt::format(
              "no public address is known: put it at ~/.cache/calor/{}, or use {}", file, instead),
          .files = {file},
          .path = file,
          .class_names = {}};
}

std::vector<KnownDataset> make_table() {
  const std::string mnist = "https://ossci-datasets.s3.amazonaws.com/mnist";
  const std::string fashion = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";
  return {
      {.name = "glyphs",
       .description = "characters drawn from the fonts of this machine, about 40,000, grey 28 x 28",
       .how_to_get = "needs only fonts: apt-get install fonts-dejavu fonts-liberation2 "
                     "fonts-freefont-ttf fonts-lato fonts-open-sans",
       .files = {},
       .path = {},
       .class_names = {}},
      idx_set("mnist", "MNIST, training part: 60,000 handwritten digits, grey 28 x 28", "mnist",
              "train", mnist, digits()),
      idx_set("mnist-test", "MNIST, test part: 10,000 handwritten digits, grey 28 x 28", "mnist",
              "t10k", mnist, digits()),
      idx_set("fashion-mnist",
              "Fashion-MNIST, training part: 60,000 pieces of clothing, grey 28 x 28",
              "fashion_mnist", "train", fashion, clothes()),
      idx_set("fashion-mnist-test",
              "Fashion-MNIST, test part: 10,000 pieces of clothing, grey 28 x 28", "fashion_mnist",
              "t10k", fashion, clothes()),
      cifar10(),
      cifar10_test(),
      local_file("cifar10-jpeg",
                 "CIFAR-10's training part as 50,000 JPEG files: lossy, never to be compared with "
                 "published figures",
                 "cifar10_jpeg/train.tar.xz", "cifar10"),
      local_file("cifar10-subset", "7,044 pictures of CIFAR-10, lossless, for tests",
                 "cifar10_lossless_subset/train_subset.bin", "cifar10"),
      local_file("pusht", "PushT: 206 demonstrations, 25,650 steps, states and key points",
                 "pusht/pusht_cchi_v7_lowdim.npz", "demonstrations of your own"),
      local_file("pusht-pictures", "PushT with the 96 x 96 pictures too, 0.7 GB in memory",
                 "pusht/pusht_cchi_v7_replay.zarr.tar", "demonstrations of your own"),
  };
}

}  // namespace

const std::vector<KnownDataset>& known_datasets() {
  static const std::vector<KnownDataset> table = make_table();
  return table;
}

std::vector<fs::path> data_folders() {
  std::vector<fs::path> folders;
  const char* own = std::getenv("CALOR_DATA");
  if (own != nullptr && *own != '\0') folders.emplace_back(own);
  folders.push_back(fs::path("..") / "shared" / "data");
  const fs::path cache = user_cache_folder();
  if (!cache.empty()) folders.push_back(cache);
  return folders;
}

fs::path find_known(const KnownDataset& set) {
  if (set.files.empty()) return {};
  for (const fs::path& folder : data_folders()) {
    bool complete = true;
    for (const std::string& file : set.files) complete &= !find_file(folder, file).empty();
    if (complete) return find_file(folder, set.path);
  }
  return {};
}

}  // namespace calor::data
