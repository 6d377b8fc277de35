// Demonstrations in HDF5, in the layout of robomimic (version 1):
//     data/demo_N/actions    [T, A]
//     data/demo_N/obs/NAME   [T, ...]
//     data/demo_N/NAME       [T, ...]   others: rewards, dones, states, next_obs/NAME
// for N = 0, 1, ..., in the order of these numbers whatever their order in the file. An array
// obs/NAME is called NAME, or obs/NAME where there is another NAME beside it. Other groups (mask)
// are not looked at.
// https://robomimic.github.io/docs/datasets/overview.html
#pragma once

#include <filesystem>
#include <memory>

#include "calor/data/demonstration_store.h"

namespace calor::data {

// Whether the name ends in .hdf5 or .h5.
bool is_hdf5_name(const std::filesystem::path& path);

// The episodes' arrays one after another, and their ends. Besides the names of list(), obs/NAME is
// understood, and action for actions, or the reverse. Error where the file is no HDF5 file, has no
// group data or no demo_N in it; reading, where a demonstration lacks an array, has no steps or has
// arrays of different lengths, or where types or sizes of a step differ between demonstrations.
std::unique_ptr<DemonstrationStore> open_robomimic(const std::filesystem::path& path);

}  // namespace calor::data
