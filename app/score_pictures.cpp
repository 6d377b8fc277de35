#include "app/score_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "app/nll.h"
#include "app/pictures_argument.h"
#include "calor/io/csv.h"
#include "calor/report/progress.h"
#include "calor/solve/picture_likelihood.h"

namespace calor::app {
namespace {

constexpr const char* note =
    "uniform dequantisation: an upper bound on the bits of the 8-bit pictures, up to the solver's "
    "error";

solve::PictureLikelihoodOptions options_of(const ScoreArguments& a) {
  return {.density = a.density(),
          .draws = a.draws,
          .seed = static_cast<std::uint64_t>(a.seed),
          .labels = a.labels};
}

solve::PictureLikelihood compute(const Globals& globals, const ScoreArguments& a,
                                 const flow::Flow& flow, const Pictures& pictures) {
  const auto n = static_cast<std::int64_t>(pictures.items.size());
  report::ProgressBar bar(n * a.draws, 0, "img", globals.quiet);
  auto scores = solve::picture_likelihood(flow, *pictures.set, pictures.items, options_of(a),
                                          [&](std::int64_t done) { bar.update(done, ""); });
  bar.finish();
  return scores;
}

void write_pictures(const std::string& file, const Pictures& pictures,
                    const solve::PictureLikelihood& scores, const std::vector<std::size_t>& order) {
  const double* bits = scores.bits.const_data_ptr<double>();
  const double* nats = scores.nats.const_data_ptr<double>();
  const double* error = scores.probe_error.const_data_ptr<double>();
  const auto rank = ranks_in(order);
  const auto& names = pictures.set->spec().class_names;
  const std::vector<std::string> header{"item", "label",          "bits_per_dimension",
                                        "nats", "standard_error", "rank"};
  io::write_csv(
      file, header, order.size(), header.size(), [&](std::size_t row, std::size_t column) {
        switch (column) {
          case 0:
            return std::to_string(pictures.items[row]);
          case 1:
            return names.empty()
                       ? std::string()
                       : names[static_cast<std::size_t>(pictures.set->label(pictures.items[row]))];
          case 2:
            return fmt::format("{}", bits[row]);
          case 3:
            return fmt::format("{}", nats[row]);
          case 4:
            return error_cell(error[row]);
          default:
            return std::to_string(rank[row]);
        }
      });
}

nlohmann::ordered_json rank_pictures(const Globals& globals, const ScoreArguments& a,
                                     const Pictures& pictures,
                                     const solve::PictureLikelihood& scores,
                                     const std::vector<std::size_t>& order) {
  nlohmann::ordered_json list = nlohmann::json::array();
  const auto shown = std::min(order.size(), static_cast<std::size_t>(a.rank));
  for (std::size_t k = 0; k < shown; ++k) {
    const double bits = scores.bits[static_cast<std::int64_t>(order[k])].item<double>();
    answer(globals, fmt::format("{:>5}  item {:>8}  {:.4f} bits a dimension", k + 1,
                                pictures.items[order[k]], bits));
    list.push_back({{"item", pictures.items[order[k]]}, {"bits_per_dimension", json_number(bits)}});
  }
  return list;
}

// Of the first batch of pictures.
double inversion_error_of(const ScoreArguments& a, const flow::Flow& flow,
                          const Pictures& pictures) {
  const auto n = std::min<std::size_t>(static_cast<std::size_t>(a.batch), pictures.items.size());
  const auto rows = solve::dequantised_rows(flow, *pictures.set, std::span(pictures.items).first(n),
                                            0, options_of(a));
  return inversion_error(flow, rows.x, rows.given, a.density());
}

std::string t_eps_text(double t_eps) {
  return t_eps > 0 ? fmt::format("t_eps {:g}", t_eps) : "no t_eps: the velocity is predicted";
}

}  // namespace

nlohmann::ordered_json score_pictures(const Globals& globals, const ScoreArguments& a,
                                      const RunModel& model) {
  const flow::Flow& flow = *model.flow;
  const Pictures pictures = open_pictures(model, a.data, a.split, a.count, a.seed, a.labels);
  const double t_eps = solve::likelihood_t_eps(flow, a.t_eps);
  const auto warnings = solve::likelihood_warnings(flow, a.t_eps, a.labels);
  for (const std::string& warning : warnings) say(globals, "warning: " + warning);
  const auto scores = compute(globals, a, flow, pictures);
  const metric::Estimate bits = estimate_of(scores.bits);
  const metric::Estimate nats = estimate_of(scores.nats);
  const double probe_error = scores.mean_probe_error();
  answer(globals,
         fmt::format("{} of {} pictures: {} (split: {})", report::grouped(bits.count),
                     report::grouped(pictures.set->size()), pictures.source, pictures.split));
  answer(globals, fmt::format("{:.4f} +- {:.4f} bits a dimension; of that the probes {}", bits.mean,
                              bits.standard_error,
                              std::isfinite(probe_error) ? fmt::format("{:.4f}", probe_error)
                                                         : "unknown: take two or more"));
  answer(globals, fmt::format("{:.2f} +- {:.2f} nats a picture{}", nats.mean, nats.standard_error,
                              a.labels ? ", given its label" : ""));
  answer(globals, note);
  answer(globals,
         fmt::format("{} divergence, {}, {}, {}; {:.0f} evaluations a picture", a.divergence,
                     a.solver_text(), precision_name(flow), t_eps_text(t_eps), scores.nfe));
  const auto order = by_density(-scores.bits);
  nlohmann::ordered_json object{{"count", bits.count},
                                {"data", pictures.source},
                                {"split", pictures.split},
                                {"set_size", pictures.set->size()}};
  object["bits_per_dimension"] = estimate_json(bits);
  object["probe_standard_error"] = json_number(probe_error);
  object["nats"] = estimate_json(nats);
  object["dimensions"] = flow.items().numbers();
  object["dequantised"] = flow.items().dequantised;
  object["given_labels"] = a.labels;
  object["likelihood"] = note;
  a.describe(flow, object);
  object["t_eps"] = t_eps;
  object["nfe"] = scores.nfe;
  object["warnings"] = warnings;
  object["out"] = a.out;
  object["most_unusual"] = rank_pictures(globals, a, pictures, scores, order);
  if (!a.out.empty()) write_pictures(a.out, pictures, scores, order);
  if (a.invert) {
    const double error = inversion_error_of(a, flow, pictures);
    answer(globals, fmt::format("to noise and back: largest error of a coordinate {:.2g}", error));
    object["inversion_error"] = json_number(error);
  }
  return object;
}

}  // namespace calor::app
