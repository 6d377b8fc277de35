// What a trained flow makes of noise, kept at every border of its stages: the pairs that students
// learn from.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "calor/flow/flow.h"
#include "calor/solve/generate.h"
#include "calor/train/particle_store.h"

namespace calor::train {

struct StatesRequest {
  std::filesystem::path folder;  // border-K.f32 or .f16; must exist
  std::string teacher;           // a checksum of the teacher's file
  solve::GenerateOptions sampling;
  std::int64_t count = 0;
  std::int64_t seed = 0;
  ParticleStore store = ParticleStore::fp32;
};

// `count` items [count, C, H, W] at each border, mapped from their stores, from the data's side (0)
// to noise (the number of stages): item i of each is what the teacher makes of noise i of the seed
// and label i.
struct TeacherStates {
  std::vector<at::Tensor> borders;
  at::Tensor labels;  // int64 [count]: i modulo the number of classes
};

// Made chunk by chunk, resumable; nothing where a signal asked to stop. `progress` is told the
// border that is being made and the items done.
std::optional<TeacherStates> teacher_states(
    const flow::Flow& teacher, const StatesRequest& request,
    const std::function<void(std::size_t border, std::int64_t done)>& progress);

}  // namespace calor::train
