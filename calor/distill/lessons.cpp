#include "calor/distill/lessons.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "calor/train/example.h"
#include "calor/train/swapped_weights.h"

namespace calor::distill {
namespace {

using Rows = std::span<const std::int64_t>;
using Keys = std::span<const RandomKey>;
using Places = std::vector<std::int64_t>;

net::ForwardContext training_context(Keys keys) {
  net::ForwardContext context;
  context.dropout = train::dropout_key(keys);
  return context;
}

// One of the first `count` places for each row.
Places draw_places(Keys keys, std::int64_t count) {
  Places places;
  for (const RandomKey key : keys) {
    const double u = train::uniform_of(key, RandomUse::training_time);
    places.push_back(
        std::min(count - 1, static_cast<std::int64_t>(u * static_cast<double>(count))));
  }
  return places;
}

Places moved(const Places& places, std::int64_t by) {
  Places out = places;
  for (std::int64_t& place : out) place += by;
  return out;
}

class MapLesson : public train::Lesson {
 public:
  explicit MapLesson(Material material) : material_(std::move(material)) {}

  at::Tensor held_out_loss(flow::Stage& stage, Rows rows) const override {
    const Way& way = material_.held_out;
    const at::Device device = device_of(stage);
    const at::Tensor right = way.at(rows, Places(rows.size(), 0)).to(device);
    const at::Tensor left = way.at(rows, Places(rows.size(), way.pieces())).to(device);
    return material_.distance(stage.map(right, given(way, rows).to(device)), left);
  }

 protected:
  static at::Device device_of(flow::Stage& stage) {
    return stage.network().parameters().flat().device();
  }
  static flow::Given given(const Way& way, Rows rows) {
    const at::Tensor index = at::tensor(at::ArrayRef<std::int64_t>(rows.data(), rows.size()));
    return way.given.select(index);
  }

  // Rows of the training way and how they move along it, on the stage's device.
  struct Move {
    flow::Stage& stage;
    const Way& way;
    Rows rows;
    flow::Given given;

    at::Tensor state(const Places& places) const {
      return way.at(rows, places).to(device_of(stage));
    }
    at::Tensor time(const Places& places) const {
      return way.times_at(places).to(device_of(stage));
    }
    at::Tensor carry(const at::Tensor& z, const Places& from, const Places& to,
                     net::ForwardContext context = {}) const {
      return stage.map_between(z, time(from), time(to), given, context);
    }
    // The same by other weights, without a gradient.
    at::Tensor carry_by(const at::Tensor& weights, const at::Tensor& z, const Places& from,
                        const Places& to) const {
      const c10::NoGradGuard no_grad;
      const train::SwappedWeights other(stage.network().parameters().flat(), weights);
      return carry(z, from, to);
    }
  };
  Move move(flow::Stage& stage, Rows rows) const {
    const Way& way = material_.training;
    return {
        .stage = stage, .way = way, .rows = rows, .given = given(way, rows).to(device_of(stage))};
  }

  Material material_;
};

class Regression final : public MapLesson {
 public:
  using MapLesson::MapLesson;

  at::Tensor loss(flow::Stage& stage, Rows rows, Keys keys,
                  const at::Tensor& /*average*/) const override {
    const Move move = this->move(stage, rows);
    const Places from = draw_places(keys, material_.training.pieces());
    const Places to = moved(from, 1);
    const at::Tensor made = move.carry(move.state(from), from, to, training_context(keys));
    return material_.distance(made, move.state(to));
  }
};

class Halving final : public MapLesson {
 public:
  Halving(Material material, at::Tensor before)
      : MapLesson(std::move(material)), before_(std::move(before)) {}

  at::Tensor loss(flow::Stage& stage, Rows rows, Keys keys,
                  const at::Tensor& /*average*/) const override {
    const Move move = this->move(stage, rows);
    Places from = draw_places(keys, material_.training.pieces() / 2);
    for (std::int64_t& place : from) place *= 2;
    const Places middle = moved(from, 1);
    const Places to = moved(from, 2);
    const at::Tensor z = move.state(from);
    const at::Tensor half = move.carry_by(before_, z, from, middle);
    const at::Tensor wanted = move.carry_by(before_, half, middle, to);
    return material_.distance(move.carry(z, from, to, training_context(keys)), wanted);
  }

 private:
  at::Tensor before_;
};

class Consistency final : public MapLesson {
 public:
  Consistency(Material material, std::int64_t neighbours)
      : MapLesson(std::move(material)), neighbours_(neighbours) {}

  at::Tensor loss(flow::Stage& stage, Rows rows, Keys keys,
                  const at::Tensor& average) const override {
    const Move move = this->move(stage, rows);
    const Places from = draw_places(keys, material_.training.pieces());
    const Places next = moved(from, 1);
    Places end = from;
    for (std::int64_t& place : end) place = (place / neighbours_ + 1) * neighbours_;
    const at::Tensor wanted = move.carry_by(average, move.state(next), next, end);
    const at::Tensor made = move.carry(move.state(from), from, end, training_context(keys));
    return material_.distance(made, wanted);
  }

 private:
  std::int64_t neighbours_;
};

class Straightening final : public MapLesson {
 public:
  using MapLesson::MapLesson;

  at::Tensor loss(flow::Stage& stage, Rows rows, Keys keys,
                  const at::Tensor& /*average*/) const override {
    std::vector<float> times;
    for (const RandomKey key : keys) {
      times.push_back(static_cast<float>(train::uniform_of(key, RandomUse::training_time)));
    }
    net::ForwardContext context = training_context(keys);
    return missed(stage, material_.training, rows, at::tensor(times, at::kFloat), context);
  }

  // At times (i + 1/2)/64, in turn.
  at::Tensor held_out_loss(flow::Stage& stage, Rows rows) const override {
    constexpr std::int64_t turns = 64;
    std::vector<float> times;
    for (const std::int64_t row : rows) {
      times.push_back((static_cast<float>(row % turns) + 0.5F) / static_cast<float>(turns));
    }
    net::ForwardContext context;
    return missed(stage, material_.held_out, rows, at::tensor(times, at::kFloat), context);
  }

 private:
  static at::Tensor missed(flow::Stage& stage, const Way& way, Rows rows, const at::Tensor& times,
                           net::ForwardContext& context) {
    const at::Device device = device_of(stage);
    const at::Tensor right = way.at(rows, Places(rows.size(), 0)).to(device);
    const at::Tensor left = way.at(rows, Places(rows.size(), way.pieces())).to(device);
    const at::Tensor t = times.to(device);
    const at::Tensor z = at::lerp(right, left, t.view({-1, 1, 1, 1}));
    const at::Tensor said = stage.predict(z, t, given(way, rows).to(device), context);
    return at::mse_loss(said, stage.predicts_velocity() ? left - right : left);
  }
};

}  // namespace

std::shared_ptr<const train::Lesson> regression(Material material) {
  return std::make_shared<Regression>(std::move(material));
}

std::shared_ptr<const train::Lesson> halving(Material material, at::Tensor before) {
  return std::make_shared<Halving>(std::move(material), std::move(before));
}

std::shared_ptr<const train::Lesson> consistency(Material material, std::int64_t neighbours) {
  return std::make_shared<Consistency>(std::move(material), neighbours);
}

std::shared_ptr<const train::Lesson> straightening(Material material) {
  return std::make_shared<Straightening>(std::move(material));
}

at::Tensor straight_velocity(const flow::Stage& stage, const at::Tensor& z, const at::Tensor& t,
                             const flow::Given& given) {
  const at::Tensor said = stage.predict(z, t, given);
  return stage.predicts_velocity() ? said : (said - z) / (1 - t).view({-1, 1, 1, 1});
}

}  // namespace calor::distill
