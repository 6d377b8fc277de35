// From what a person writes in data.* to what a trainer takes: pictures, points in the plane, or
// the rows of a table, held-out rows beside them, and what must travel in the model file to make
// rows out of numbers again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "calor/data/dataset.h"
#include "calor/data/open.h"
#include "calor/data/point_sets.h"
#include "calor/data/table.h"
#include "calor/data/table_codec.h"
#include "calor/data/table_condition.h"

namespace calor::data {

struct TrainingData {
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> validation;  // none where nothing is held out
  std::map<std::string, std::string> notes;   // for the model file
  std::string description;                    // for people, one line
};

enum class SourceKind { pictures, points, table, demonstrations };

// What data.source is: a known set of points or "picture:FILE" (a grey picture as a density), a
// file with a table's ending (.npy and .npz only where the array has one or two dimensions),
// demonstrations (demonstrations.h), or pictures.
SourceKind source_kind(const DataOptions& options);

// Whether `name` is that of a known set of pictures or points.
bool is_known_source(const std::string& name);

// Pictures: open_dataset. Points: data.count of them. A table: data.validation and data.test of its
// rows are held out; the encoding is fitted on the rest, and each row is encoded data.copies times
// with fresh dequantisation. Demonstrations: windows of all episodes but data.validation of them;
// items are chunks of actions [A, 1, data.chunk], conditions the observations before them, pictures
// among them where the demonstrations have some that are observed.
TrainingData open_training_data(const DataOptions& options);

// `count` points of the law that data.source names, by name or as picture:FILE: [count, 2], or
// [count, data.dimensions] where that is set.
Points draw_source_points(const DataOptions& options, std::int64_t count, RandomKey key);

// The rows of the table that data.source names, split as open_training_data splits them.
TableSplit open_table_split(const DataOptions& options);

// How a model of a table reads and writes rows.
struct TableCodecs {
  TableCodec targets;
  std::optional<ConditionCodec> condition;
};
// From the notes of a model file; none where it is no model of a table. `origin` names the file.
std::optional<TableCodecs> table_codecs(const std::map<std::string, std::string>& notes,
                                        const std::string& origin);

// The file or folder that data.source names, by a known name or as a path; empty where the named
// set is not there.
std::filesystem::path path_of_source(const std::string& source);

// The demonstrations that data.source names, by name or path.
Demonstrations open_demonstrations(const DataOptions& options);

// From the notes of a model file; none where it is no policy. `origin` names the file.
std::optional<PolicyCodec> policy_codec(const std::map<std::string, std::string>& notes,
                                        const std::string& origin);

}  // namespace calor::data
