#include "calor/core/command_line.h"

#include <gtest/gtest.h>

namespace calor {
namespace {

TEST(CommandLine, IsReadBackByAShell) {
  EXPECT_EQ(command_line({"train", "a=b", "my set", "it's", "$x", ""}),
            "calor train a=b 'my set' 'it'\\''s' '$x' ''");
}

}  // namespace
}  // namespace calor
