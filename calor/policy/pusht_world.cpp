#include "calor/policy/pusht_world.h"

#include <chipmunk/chipmunk.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <mutex>

namespace calor::policy {
namespace {

struct Free {
  void operator()(cpSpace* space) const { cpSpaceFree(space); }
  void operator()(cpBody* body) const { cpBodyFree(body); }
  void operator()(cpShape* shape) const { cpShapeFree(shape); }
};

cpVect to_chipmunk(const Vec2& v) { return cpv(v[0], v[1]); }
Vec2 from_chipmunk(cpVect v) { return {v.x, v.y}; }

// Distributions build Chipmunk with its checks, and then the first space of a process greets on
// standard output, where `--json` promises one object and no more. So the first space is made here
// and thrown away, while standard output leads nowhere; its lock keeps the lines of other threads.
void silence_greeting() {
  static std::once_flag once;
  std::call_once(once, [] {
    flockfile(stdout);
    std::fflush(stdout);
    const int kept = ::dup(STDOUT_FILENO);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    const bool redirected = kept >= 0 && nowhere >= 0 && ::dup2(nowhere, STDOUT_FILENO) >= 0;
    cpSpaceFree(cpSpaceNew());
    std::fflush(stdout);
    if (redirected) ::dup2(kept, STDOUT_FILENO);
    if (kept >= 0) ::close(kept);
    if (nowhere >= 0) ::close(nowhere);
    funlockfile(stdout);
  });
}

void count_points(cpArbiter* arbiter, cpSpace* /*space*/, cpDataPointer count) {
  *static_cast<int*>(count) += cpArbiterGetCount(arbiter);
}

}  // namespace

// The space is destroyed first, since it still looks at its bodies and shapes then.
struct PushtWorld::Impl {
  std::unique_ptr<cpBody, Free> agent, block;
  std::vector<std::unique_ptr<cpShape, Free>> shapes;
  std::unique_ptr<cpSpace, Free> space;
  int contact_points = 0;

  Impl();
  void add_shape(cpShape* shape);
  void add_walls();
  void add_agent();
  void add_block();
  void place(const PushtPose& pose, PoseOrder order) const;
  void step();
};

PushtWorld::Impl::Impl() {
  silence_greeting();
  space.reset(cpSpaceNew());
  cpSpaceSetIterations(space.get(), 10);
  cpSpaceSetGravity(space.get(), cpvzero);
  cpSpaceSetDamping(space.get(), 0);
  // Python's binding passes these through single precision.
  cpSpaceSetCollisionSlop(space.get(), static_cast<double>(0.1F));
  cpSpaceSetCollisionBias(space.get(), std::pow(static_cast<double>(1.0F - 0.1F), 60));
  cpSpaceSetCollisionPersistence(space.get(), 3);
  cpCollisionHandler* handler = cpSpaceAddCollisionHandler(space.get(), 0, 0);
  handler->postSolveFunc = count_points;
  handler->userData = &contact_points;
  // The order in which shapes are added, and where their bodies are then, decide the order in which
  // contacts are solved.
  add_walls();
  add_agent();
  add_block();
}

void PushtWorld::Impl::add_shape(cpShape* shape) {
  cpShapeSetFriction(shape, 0);
  cpShapeSetElasticity(shape, 0);
  shapes.emplace_back(shape);
  cpSpaceAddShape(space.get(), shape);
}

void PushtWorld::Impl::add_walls() {
  constexpr double low = 5, high = 506, radius = 2;
  const std::array<std::array<cpVect, 2>, 4> walls{{{cpv(low, high), cpv(low, low)},
                                                    {cpv(low, low), cpv(high, low)},
                                                    {cpv(high, low), cpv(high, high)},
                                                    {cpv(low, high), cpv(high, high)}}};
  cpBody* ground = cpSpaceGetStaticBody(space.get());
  for (const auto& [start, end] : walls) {
    add_shape(cpSegmentShapeNew(ground, start, end, radius));
  }
}

void PushtWorld::Impl::add_agent() {
  constexpr double radius = 15;
  agent.reset(cpBodyNewKinematic());
  cpSpaceAddBody(space.get(), agent.get());
  cpBodySetPosition(agent.get(), cpv(256, 400));
  add_shape(cpCircleShapeNew(agent.get(), radius, cpvzero));
}

void PushtWorld::Impl::add_block() {
  constexpr double mass = 1;
  // The original adds the bar's moment to itself where it means the stem's; its policies and
  // recordings know the block like that.
  constexpr double bar_moment = mass * (120.0 * 120 + 4 * 30.0 * 30) / 12;
  block.reset(cpBodyNew(mass, 2 * bar_moment));
  cpSpaceAddBody(space.get(), block.get());
  cpBodySetCenterOfGravity(block.get(), cpv(0, 45));  // the mean of the rectangles' centres
  cpBodySetPosition(block.get(), cpv(256, 300));
  for (const auto* corners : {&pusht_bar, &pusht_stem}) {
    std::array<cpVect, 4> points{};
    for (std::size_t i = 0; i < points.size(); ++i) points[i] = to_chipmunk((*corners)[i]);
    add_shape(cpPolyShapeNew(block.get(), 4, points.data(), cpTransformIdentity, 0));
  }
}

void PushtWorld::Impl::place(const PushtPose& pose, PoseOrder order) const {
  cpBodySetPosition(agent.get(), to_chipmunk(pose.agent));
  if (order == PoseOrder::angle_first) cpBodySetAngle(block.get(), pose.angle);
  cpBodySetPosition(block.get(), to_chipmunk(pose.block));
  if (order == PoseOrder::position_first) cpBodySetAngle(block.get(), pose.angle);
}

void PushtWorld::Impl::step() {
  contact_points = 0;
  cpSpaceStep(space.get(), pusht_substep);
}

PushtWorld::PushtWorld(const PushtPose& pose, PoseOrder order) : impl_(std::make_unique<Impl>()) {
  impl_->place(pose, order);
  impl_->step();
}

PushtWorld::~PushtWorld() = default;
PushtWorld::PushtWorld(PushtWorld&&) noexcept = default;
PushtWorld& PushtWorld::operator=(PushtWorld&&) noexcept = default;

void PushtWorld::substep(const Vec2& target) {
  constexpr double stiffness = 100, damping = 20;
  cpBody* agent = impl_->agent.get();
  const cpVect position = cpBodyGetPosition(agent);
  cpVect velocity = cpBodyGetVelocity(agent);
  velocity.x += (stiffness * (target[0] - position.x) + damping * (0 - velocity.x)) * pusht_substep;
  velocity.y += (stiffness * (target[1] - position.y) + damping * (0 - velocity.y)) * pusht_substep;
  cpBodySetVelocity(agent, velocity);
  impl_->step();
}

PushtState PushtWorld::state() const {
  const cpBody* agent = impl_->agent.get();
  const cpBody* block = impl_->block.get();
  return {.pose = {.agent = from_chipmunk(cpBodyGetPosition(agent)),
                   .block = from_chipmunk(cpBodyGetPosition(block)),
                   .angle = cpBodyGetAngle(block)},
          .agent_velocity = from_chipmunk(cpBodyGetVelocity(agent)),
          .block_velocity = from_chipmunk(cpBodyGetVelocity(block)),
          .angular_velocity = cpBodyGetAngularVelocity(block)};
}

int PushtWorld::contact_points() const { return impl_->contact_points; }

namespace {

// What Chipmunk's own debug drawing calls, with a list of shapes to append to as data.
std::vector<PushtShape>& list_of(cpDataPointer data) {
  return *static_cast<std::vector<PushtShape>*>(data);
}

void add_circle(cpVect centre, cpFloat /*angle*/, cpFloat radius, cpSpaceDebugColor /*outline*/,
                cpSpaceDebugColor /*fill*/, cpDataPointer data) {
  list_of(data).push_back(
      {.kind = PushtShape::Kind::agent, .points = {from_chipmunk(centre)}, .radius = radius});
}

void add_segment(cpVect a, cpVect b, cpSpaceDebugColor /*colour*/, cpDataPointer data) {
  list_of(data).push_back(
      {.kind = PushtShape::Kind::contact, .points = {from_chipmunk(a), from_chipmunk(b)}});
}

void add_fat_segment(cpVect a, cpVect b, cpFloat radius, cpSpaceDebugColor /*outline*/,
                     cpSpaceDebugColor /*fill*/, cpDataPointer data) {
  list_of(data).push_back({.kind = PushtShape::Kind::wall,
                           .points = {from_chipmunk(a), from_chipmunk(b)},
                           .radius = radius});
}

void add_polygon(int count, const cpVect* corners, cpFloat /*radius*/,
                 cpSpaceDebugColor /*outline*/, cpSpaceDebugColor /*fill*/, cpDataPointer data) {
  PushtShape shape{.kind = PushtShape::Kind::block, .points = {}};
  for (int i = 0; i < count; ++i) shape.points.push_back(from_chipmunk(corners[i]));
  list_of(data).push_back(shape);
}

void add_nothing(cpFloat /*size*/, cpVect /*position*/, cpSpaceDebugColor /*colour*/,
                 cpDataPointer /*data*/) {}

cpSpaceDebugColor no_colour(cpShape* /*shape*/, cpDataPointer /*data*/) { return {}; }

}  // namespace

std::vector<PushtShape> PushtWorld::shapes() const {
  std::vector<PushtShape> list;
  cpSpaceDebugDrawOptions options{};
  options.drawCircle = add_circle;
  options.drawSegment = add_segment;
  options.drawFatSegment = add_fat_segment;
  options.drawPolygon = add_polygon;
  options.drawDot = add_nothing;
  options.colorForShape = no_colour;
  options.flags = static_cast<cpSpaceDebugDrawFlags>(CP_SPACE_DEBUG_DRAW_SHAPES |
                                                     CP_SPACE_DEBUG_DRAW_COLLISION_POINTS);
  options.data = &list;
  cpSpaceDebugDraw(impl_->space.get(), &options);
  return list;
}

}  // namespace calor::policy
