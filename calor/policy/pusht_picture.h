// How PushT looks: the goal in green, the block, the agent and the walls, drawn on 512 x 512 pixels
// and reduced. Red marks where things touched in the last sub-step, as in the recordings.
#pragma once

#include <cstdint>
#include <optional>

#include "calor/policy/canvas.h"
#include "calor/policy/pusht_world.h"

namespace calor::policy {

// 512 x 512, before the reduction.
Canvas pusht_canvas(const PushtWorld& world);

// side x side; with `action`, the target of the agent, a red cross there.
Canvas pusht_picture(const PushtWorld& world, std::int64_t side, const std::optional<Vec2>& action);

}  // namespace calor::policy
