// What a trained flow makes of noise, kept at every border of its stages and at times between: what
// students learn from.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "calor/data/dataset.h"
#include "calor/distill/grouping.h"
#include "calor/distill/way.h"
#include "calor/flow/flow.h"
#include "calor/solve/generate.h"
#include "calor/train/particle_store.h"

namespace calor::distill {

struct StatesRequest {
  std::filesystem::path folder;  // border-K.f32 or .f16; must exist
  std::string teacher;           // a checksum of the teacher's file
  solve::GenerateOptions sampling;
  std::int64_t count = 0;
  std::int64_t seed = 0;
  flow::Given given;            // of each item: given_in_turn()
  std::string conditions = {};  // a checksum of the set that the conditions are from; empty: none
  train::ParticleStore store = train::ParticleStore::fp32;
};

// A folder's name for the states of this request and no other.
std::string states_name(const StatesRequest& request);

// Told what is being made, in words, and the items done.
using OnStates = std::function<void(const std::string& what, std::int64_t done)>;

// `count` items [count, C, H, W] at each border, mapped from their stores, from the data's side (0)
// to noise (the number of stages): item i of each is what the teacher makes of noise i of the seed
// and what item i is given.
struct TeacherStates {
  std::vector<at::Tensor> borders;
  flow::Given given;
};

// What items 0 .. count - 1 are given: the classes in turn, and the conditions of the items of
// `conditions` in turn, if the model takes any (else it may be null). UsageError for a model of
// pictures that are observed: each pair would keep its own.
flow::Given given_in_turn(const data::ItemSpec& items, const data::Dataset* conditions,
                          std::int64_t count);

// Made chunk by chunk, resumable, by one process at a time for those that share a folder; nothing
// where a signal asked to stop.
std::optional<TeacherStates> teacher_states(const flow::Flow& teacher, const StatesRequest& request,
                                            const OnStates& progress);

// A time t of a stage.
struct Place {
  std::size_t stage = 0;
  double t = 0;
};
// Where the teacher's stages of a group are as far along in log(A/S), at lambda = 0 and from the
// data itself, as a student's map for them is at `t`, 0 < t < 1.
Place teacher_place(const flow::Flow& teacher, StageGroup group, const flow::Stage& student,
                    double t);

// The teacher's states on the group's way, cut into `pieces` for the student's map (log_snr_cuts):
// its own borders at the ends, in between made by the teacher's sampler (solve::generate_way, or
// generate_within for chains) and kept beside the borders in way-L-R/. Resumable; nothing where a
// signal asked to stop.
std::optional<Way> teacher_way(const flow::Flow& teacher, const StatesRequest& request,
                               const TeacherStates& states, StageGroup group,
                               const flow::Stage& student, std::int64_t pieces,
                               const OnStates& progress);

// The way of items from `right` [count, C, H, W] along a flow that was trained to be straight
// (lessons.h): by the request's sampler, in one go on the linear path, where that neither draws
// noise nor is an ODE's, else by ODE solvers. Kept in the request's folder as way.f32; its identity
// is that of the request.
std::optional<Way> straight_way(const flow::Flow& flow, std::size_t stage,
                                const StatesRequest& request, const at::Tensor& right,
                                const std::vector<double>& times, const OnStates& progress);

}  // namespace calor::distill
