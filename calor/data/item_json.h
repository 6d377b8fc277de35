// What a model file says of the items that it was made for, as JSON.
#pragma once

#include <string>

#include "calor/data/dataset.h"

namespace calor::data {

std::string to_json(const ItemSpec& items);
// Error where it is no such text; `origin` says in which file, and where in it, it was found.
ItemSpec items_from_json(const std::string& text, ItemKind kind, const std::string& origin);

}  // namespace calor::data
