#include "calor/experiment/answers.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "calor/io/atomic_file.h"

namespace calor::experiment {
namespace {

using Json = nlohmann::ordered_json;

// What stands between two slashes of a JSON pointer: ~1 is a slash, ~0 a tilde.
std::string unescaped(std::string_view token) {
  std::string result;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escape = token[i] == '~' && i + 1 < token.size();
    if (escape && token[i + 1] == '1') {
      result += '/';
      ++i;
    } else if (escape && token[i + 1] == '0') {
      result += '~';
      ++i;
    } else {
      result += token[i];
    }
  }
  return result;
}

const Json* entry_of_list(const Json& list, const std::string& token) {
  std::size_t i = 0;
  const auto read = std::from_chars(token.data(), token.data() + token.size(), i);
  if (read.ec == std::errc() && read.ptr == token.data() + token.size()) {
    return i < list.size() ? &list[i] : nullptr;
  }
  const auto named = std::ranges::find_if(list, [&](const Json& entry) {
    return entry.is_object() && !entry.empty() && entry.front() == Json(token);
  });
  return named == list.end() ? nullptr : &*named;
}

const Json* child_of(const Json& value, const std::string& token) {
  if (value.is_array()) return entry_of_list(value, token);
  if (!value.is_object() || !value.contains(token)) return nullptr;
  return &value[token];
}

Json kept_words(const Job& job) { return {{"command", job.words}, {"after", job.after}}; }

}  // namespace

std::filesystem::path answer_file(const std::filesystem::path& folder, const Job& job) {
  return folder / "results" / (job.name + ".json");
}

void keep_answer(const std::filesystem::path& folder, const Job& job, const Json& answer) {
  Json kept = kept_words(job);
  kept["answer"] = answer;
  io::write_file_atomically(answer_file(folder, job), kept.dump(2) + "\n");
}

std::optional<Json> kept_answer(const std::filesystem::path& folder, const Job& job) {
  const auto file = answer_file(folder, job);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  const auto kept = Json::parse(io::read_text(file), nullptr, false);
  if (!kept.is_object() || !kept.contains("answer")) return {};
  const Json wanted = kept_words(job);
  const bool same = std::ranges::all_of(wanted.items(), [&](const auto& item) {
    return kept.contains(item.key()) && kept[item.key()] == item.value();
  });
  return same ? std::optional(kept["answer"]) : std::nullopt;
}

double number_at(const Json& answer, const std::string& key) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (key.empty() || key.front() != '/') return none;
  const Json* value = &answer;
  for (std::size_t begin = 1; value != nullptr && begin <= key.size();) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    value = child_of(*value, unescaped(std::string_view(key).substr(begin, end - begin)));
    begin = end + 1;
  }
  return value != nullptr && value->is_number() ? value->get<double>() : none;
}

}  // namespace calor::experiment
