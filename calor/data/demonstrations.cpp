#include "calor/data/demonstrations.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "calor/core/error.h"
#include "calor/data/demonstration_store.h"
#include "calor/data/robomimic.h"
#include "calor/io/archive.h"
#include "calor/io/bytes.h"
#include "calor/io/ending.h"
#include "calor/io/zarr.h"

namespace calor::data {
namespace {

namespace fs = std::filesystem;

// An array and the columns of it that are wanted: name, name[i] or name[i:j].
struct Wanted {
  std::string name;
  std::int64_t first = 0, last = -1;  // -1: to the end

  bool whole() const { return last < 0; }
};

// The whole text as a number from 0 to 10^9; -1 where it is none.
std::int64_t column_of(std::string_view text) {
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && number >= 0 && number <= 1'000'000'000 ? number : -1;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
           c == '-';
  });
}

// name, name[i] or name[i:j]; empty where the word is none of them.
std::optional<Wanted> parse_word(std::string_view word) {
  const std::size_t bracket = word.find('[');
  Wanted wanted{.name = std::string(word.substr(0, bracket))};
  if (!is_name(wanted.name)) return std::nullopt;
  if (bracket == std::string_view::npos) return wanted;
  if (!word.ends_with(']')) return std::nullopt;
  const std::string_view range = word.substr(bracket + 1, word.size() - bracket - 2);
  const std::size_t colon = range.find(':');
  wanted.first = column_of(range.substr(0, colon));
  wanted.last =
      colon == std::string_view::npos ? wanted.first + 1 : column_of(range.substr(colon + 1));
  return wanted.first >= 0 && wanted.last >= 0 ? std::optional(wanted) : std::nullopt;
}

std::vector<Wanted> parse_wanted(const std::string& text) {
  std::istringstream words(text);
  std::vector<Wanted> wanted;
  for (std::string word; words >> word;) {
    const auto one = parse_word(word);
    require_usage(one.has_value(),
                  "data.observations of names with columns, like \"keypoint state[0:2]\"",
                  fmt::format("'{}'", word), "separate names by blanks; columns count from 0");
    wanted.push_back(*one);
  }
  require_usage(!wanted.empty(), "one array or more in data.observations", "none",
                "for instance \"state\"");
  return wanted;
}

void require_present(const std::string& name, const std::vector<DemonstrationArray>& arrays,
                     const std::string& origin) {
  std::vector<std::string> present;
  for (const auto& array : arrays) present.push_back(array.name);
  if (std::ranges::find(present, name) != present.end()) return;
  const std::string nearest = nearest_name(name, present);
  throw Error(
      fmt::format("an array '{}'", name),
      fmt::format("{}: {}", origin,
                  nearest.empty() ? "none of such a name" : fmt::format("there is '{}'", nearest)),
      "'calor data inspect' lists the arrays; set data.actions and data.observations");
}

// fp32 [steps, columns], all finite.
at::Tensor as_columns(const at::Tensor& array, const Wanted& wanted, const std::string& origin) {
  const at::Tensor flat = array.flatten(1).to(at::kFloat);
  const std::int64_t last = wanted.last < 0 ? flat.size(1) : wanted.last;
  require_usage(wanted.first < last && last <= flat.size(1),
                fmt::format("columns of '{}' within its {}", wanted.name, flat.size(1)),
                fmt::format("[{}:{}]", wanted.first, last),
                "columns count from 0, the last is out");
  const at::Tensor columns = flat.narrow(1, wanted.first, last - wanted.first);
  const at::Tensor bad = at::isfinite(columns).logical_not().nonzero();
  if (bad.size(0) > 0) {
    throw Error("finite numbers",
                fmt::format("{}: '{}' has {} that are not, the first at step {}, column {}", origin,
                            wanted.name, bad.size(0), bad[0][0].item<std::int64_t>(),
                            bad[0][1].item<std::int64_t>() + wanted.first),
                "repair or leave out those episodes");
  }
  return columns;
}

// The one array of pictures that is wanted, as the file has it; none where only numbers are.
std::optional<DemonstrationArray> find_pictures(const std::vector<Wanted>& wanted,
                                                const std::vector<DemonstrationArray>& arrays) {
  std::optional<DemonstrationArray> found;
  for (const Wanted& one : wanted) {
    const auto array = std::ranges::find(arrays, one.name, &DemonstrationArray::name);
    if (array == arrays.end() || !array->is_pictures() || !one.whole()) continue;
    require_usage(!found, "one array of pictures in data.observations",
                  fmt::format("'{}' and '{}'", found ? found->name : "", one.name),
                  "leave one out, or save both side by side as one wider picture");
    found = *array;
  }
  return found;
}

// uint8 [steps, H, W, C]. Floats from 0 to 1 would be black after rounding.
void check_pictures(const at::Tensor& pictures, const DemonstrationArray& array,
                    const std::string& origin) {
  const std::int64_t channels = array.shape.at(3);
  if (channels != 1 && channels != 3) {
    throw Error(fmt::format("pictures '{}' [steps, height, width, 1 or 3]", array.name),
                fmt::format("{}: {}", origin, io::shape_text(array.shape)),
                "save grey or RGB pictures with the colours last; numbers that are no picture are "
                "observed by their columns, as \"grid[0:48]\"");
  }
  if (!at::isFloatingType(array.type) || pictures.max().item<std::uint8_t>() > 1) return;
  throw Error(fmt::format("pictures '{}' with values from 0 to 255", array.name),
              fmt::format("{}: floats of 1 at most", origin), "save them times 255, or as bytes");
}

void check_steps(const at::Tensor& array, const std::string& name, std::int64_t steps,
                 const std::string& origin) {
  if (array.dim() >= 2 && array.size(0) == steps && array.numel() > 0) return;
  throw Error(fmt::format("'{}' of shape [{}, ...], one row for each step", name, steps),
              fmt::format("{}: {}", origin, io::shape_text(array.sizes())),
              "save all arrays with the same steps, as rows");
}

std::vector<std::int64_t> read_ends(const at::Tensor& array, const std::string& origin) {
  const bool integral = at::isIntegralType(array.scalar_type(), /*includeBool=*/false);
  if (array.dim() != 1 || array.numel() == 0 || !integral) {
    throw Error("episode_ends: integers [episodes]",
                fmt::format("{}: {} {}", origin, c10::toString(array.scalar_type()),
                            io::shape_text(array.sizes())),
                "save one number for each episode: one past its last step");
  }
  const at::Tensor wide = array.to(at::kLong).contiguous();
  std::vector<std::int64_t> ends(wide.const_data_ptr<std::int64_t>(),
                                 wide.const_data_ptr<std::int64_t>() + wide.numel());
  std::int64_t before = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i] <= before) {
      throw Error("episode_ends that ascend",
                  fmt::format("{}: episode {} ends at {}, the one before at {}", origin, i, ends[i],
                              before),
                  "save the number of steps up to the end of each episode, in order");
    }
    before = ends[i];
  }
  return ends;
}

}  // namespace

void DemonstrationOptions::declare(config::Options& options) {
  options.add("data.actions", actions, "demonstrations: the array of the actions");
  options.add("data.observations", observations,
              "demonstrations: the arrays that a policy observes, with columns where not all of "
              "them: \"keypoint state[0:2]\"");
  options.add("data.history", history, {1, 1000}, "steps",
              "demonstrations: observations that a decision sees, the newest last");
  options.add("data.chunk", chunk, {1, 10'000}, "steps",
              "demonstrations: actions that are planned, from the oldest observation's step on");
  options.add("data.execute", execute, {1, 10'000}, "steps",
              "demonstrations: planned actions that are carried out before the next decision");
}

std::int64_t Demonstrations::begin(std::int64_t episode) const {
  return episode == 0 ? 0 : end(episode - 1);
}

std::int64_t Demonstrations::end(std::int64_t episode) const {
  return ends.at(static_cast<std::size_t>(episode));
}

bool holds_demonstrations(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  if (io::is_zarr(path) || is_hdf5_name(path)) return true;
  if (io::ending_of(path) != ".npz" || !fs::is_regular_file(path, ignored)) return false;
  const auto members = io::member_names(path);
  return std::ranges::find(members, std::string(episode_ends_name) + ".npy") != members.end();
}

std::vector<DemonstrationArray> list_demonstrations(const fs::path& path) {
  return DemonstrationStore::open(path)->list();
}

Demonstrations read_demonstrations(const fs::path& path, const DemonstrationOptions& options) {
  require_usage(options.history + options.execute - 1 <= options.chunk,
                "a chunk with the executed actions in it: data.history + data.execute - 1 <= "
                "data.chunk",
                fmt::format("{} + {} - 1 and {}", options.history, options.execute, options.chunk),
                "lengthen the chunk or execute less of it");
  auto wanted = parse_wanted(options.observations);
  const std::string origin = path.string();
  const auto store = DemonstrationStore::open(path);
  const std::string action = store->resolve(options.actions);
  std::vector<std::string> names{action, episode_ends_name};
  for (Wanted& one : wanted) {
    one.name = store->resolve(one.name);
    names.push_back(one.name);
  }
  const auto listed = store->list();
  for (const std::string& name : names) require_present(name, listed, origin);
  const auto pictures = find_pictures(wanted, listed);
  const auto arrays =
      store->read(names, pictures ? std::set{pictures->name} : std::set<std::string>{});
  Demonstrations out;
  out.ends = read_ends(arrays.at(episode_ends_name), origin);
  const std::int64_t steps = out.ends.back();
  check_steps(arrays.at(action), action, steps, origin);
  out.actions = as_columns(arrays.at(action), {.name = action}, origin);
  std::vector<at::Tensor> parts{at::empty({steps, 0}, at::kFloat)};
  for (const Wanted& one : wanted) {
    check_steps(arrays.at(one.name), one.name, steps, origin);
    if (pictures && one.whole() && one.name == pictures->name) {
      out.pictures = arrays.at(one.name).contiguous();
      check_pictures(out.pictures, *pictures, origin);
    } else {
      parts.push_back(as_columns(arrays.at(one.name), one, origin));
    }
  }
  out.observations = at::cat(parts, 1);
  return out;
}

Windows cut_windows(const Demonstrations& d, std::span<const std::int64_t> episodes,
                    const DemonstrationOptions& options, const RangeScaler& actions,
                    const RangeScaler& observations) {
  std::vector<std::int64_t> action_rows, observation_rows;
  std::int64_t windows = 0;
  for (const std::int64_t episode : episodes) {
    const std::int64_t begin = d.begin(episode), end = d.end(episode);
    const auto add = [&](std::vector<std::int64_t>& rows, std::int64_t step) {
      rows.push_back(std::clamp(step, begin, end - 1));
    };
    const std::int64_t first = begin - (options.history - 1);
    const std::int64_t last =
        std::max(first, end - 1 - (options.chunk - 1) + (options.execute - 1));
    for (std::int64_t start = first; start <= last; ++start, ++windows) {
      for (std::int64_t k = 0; k < options.chunk; ++k) add(action_rows, start + k);
      for (std::int64_t k = 0; k < options.history; ++k) add(observation_rows, start + k);
    }
  }
  const auto rows_of = [&](const at::Tensor& all, const std::vector<std::int64_t>& rows) {
    return all.index_select(0, at::tensor(rows, at::kLong));
  };
  const std::int64_t width = d.actions.size(1);
  const at::Tensor acts = actions.to_unit(rows_of(d.actions, action_rows));
  const at::Tensor seen = observations.to_unit(rows_of(d.observations, observation_rows));
  return {.chunks =
              acts.view({windows, options.chunk, width}).transpose(1, 2).unsqueeze(2).contiguous(),
          .observations = seen.reshape({windows, options.history * d.observations.size(1)}),
          .rows = at::tensor(observation_rows, at::kLong).view({windows, options.history})};
}

std::string PolicyCodec::to_json() const {
  return nlohmann::json{{"actions", options.actions},
                        {"observations", options.observations},
                        {"history", options.history},
                        {"chunk", options.chunk},
                        {"execute", options.execute},
                        {"action_range", nlohmann::json::parse(actions.to_json())},
                        {"observation_range", nlohmann::json::parse(observations.to_json())}}
      .dump();
}

PolicyCodec PolicyCodec::from_json(const std::string& text, const std::string& origin) {
  std::string found = "no actions";
  try {
    const auto json = nlohmann::json::parse(text);
    PolicyCodec codec;
    auto& options = codec.options;
    json.at("actions").get_to(options.actions);
    json.at("observations").get_to(options.observations);
    json.at("history").get_to(options.history);
    json.at("chunk").get_to(options.chunk);
    json.at("execute").get_to(options.execute);
    codec.actions = RangeScaler::from_json(json.at("action_range").dump(), origin);
    codec.observations = RangeScaler::from_json(json.at("observation_range").dump(), origin);
    if (codec.actions.width() > 0) return codec;
  } catch (const nlohmann::json::exception& error) {
    found = error.what();
  }
  throw Error("the description of a policy", fmt::format("{}: {}", origin, found),
              "the model file is damaged: make it again from its run");
}

}  // namespace calor::data
