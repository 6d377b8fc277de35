// Demonstrations of a robot: what was observed and done, step by step, in episodes; and the windows
// that a policy learns from.
//
// The format, for one's own robot too: an .npz file or a zarr store (version 2; a folder, or a tar
// or zip of one) that holds, for all episodes one after another,
//     action         [steps, A]         floating point or integers
//     NAME           [steps, ...]       any observations, flattened to [steps, O]
//     NAME           [steps, H, W, C]   pictures, grey (C = 1) or RGB (3), values 0 to 255: bytes,
//                                       or floats of these values
//     episode_ends   [episodes]         integers: one past the last step of each, ascending
// in a zarr store under data/ (data/action, data/NAME) and meta/ (meta/episode_ends). HDF5 in the
// layout of robomimic is read, too: robomimic.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "calor/config/options.h"
#include "calor/data/range_scaler.h"

namespace calor::data {

struct DemonstrationOptions {
  std::string actions = "action";      // the array of the actions
  std::string observations = "state";  // arrays, with columns where not all: "keypoint state[0:2]"
  std::int64_t history = 2;            // observations that a decision sees
  std::int64_t chunk = 16;             // actions that it plans, from the first of those steps on
  std::int64_t execute = 8;            // of them, actions that are carried out

  void declare(config::Options& options);
};

struct Demonstrations {
  at::Tensor actions;              // fp32 [steps, A]
  at::Tensor observations;         // fp32 [steps, O], O = 0 where only pictures are observed
  at::Tensor pictures = {};        // uint8 [steps, H, W, C], or undefined
  std::vector<std::int64_t> ends;  // one past the last step of each episode

  std::int64_t episodes() const { return static_cast<std::int64_t>(ends.size()); }
  std::int64_t begin(std::int64_t episode) const;
  std::int64_t end(std::int64_t episode) const;
};

// An array of a file of demonstrations.
struct DemonstrationArray {
  std::string name;
  at::ScalarType type{};
  std::vector<std::int64_t> shape;

  // Whether it holds pictures, where it is observed whole.
  bool is_pictures() const { return shape.size() == 4; }
};

// Whether the path is a zarr store, an HDF5 file by its name, or an .npz file with episode_ends.
bool holds_demonstrations(const std::filesystem::path& path);

// What there is; `ends` of its episodes beside it.
std::vector<DemonstrationArray> list_demonstrations(const std::filesystem::path& path);

// Error where an array is missing (with the nearest name), has another number of steps, holds a
// number that is not finite, pictures are none, or episode_ends do not ascend to the number of
// steps. Pictures may come from one array; they are in memory as bytes, 709 MB for PushT.
Demonstrations read_demonstrations(const std::filesystem::path& path,
                                   const DemonstrationOptions& options);

// Windows for training, in the units of the scalers: of each episode, one for every decision that
// could have been made, the first `history` - 1 steps before its begin and the last `execute` - 1
// actions beyond its end being repeated.
struct Windows {
  at::Tensor chunks;        // fp32 [n, A, 1, chunk]: actions from the window's first step on
  at::Tensor observations;  // fp32 [n, history * O]: of its first `history` steps, oldest first
  at::Tensor rows;          // int64 [n, history]: those steps, of all episodes
};
Windows cut_windows(const Demonstrations& demonstrations, std::span<const std::int64_t> episodes,
                    const DemonstrationOptions& options, const RangeScaler& actions,
                    const RangeScaler& observations);

// What a policy must know of the data it learnt from; it travels in the model file.
struct PolicyCodec {
  DemonstrationOptions options;
  RangeScaler actions, observations;

  std::string to_json() const;
  static PolicyCodec from_json(const std::string& text, const std::string& origin);
};

}  // namespace calor::data
