// What a source is taken for, and shares that no source passes over in silence.
#include "calor/data/training_data.h"

#include "calor/core/error.h"
#include "tests/data/support.h"

namespace calor::data {
namespace {

using namespace calor::data::testing;

SourceKind kind_of(const fs::path& path) { return source_kind({.source = path.string()}); }

TEST(SourceKind, OfAnArrayFollowsItsDimensions) {
  const TemporaryFolder folder;
  for (const char* name : {"rows.npy", "ROWS.NPY"}) {
    io::write_npy(folder / "array", at::ones({4, 3}));
    fs::rename(folder / "array", folder / name);
    EXPECT_EQ(kind_of(folder / name), SourceKind::table) << name;
  }
  for (const char* name : {"pictures.npy", "PICTURES.NPY"}) {
    io::write_npy(folder / "array", noise({4, 6, 5}));
    fs::rename(folder / "array", folder / name);
    EXPECT_EQ(kind_of(folder / name), SourceKind::pictures) << name;
  }
  put_npz(folder / "rows.npz", {{"x", at::ones({4, 3})}});
  put_npz(folder / "ROWS.NPZ", {{"arr_0", at::ones({4})}});
  put_npz(folder / "pictures.npz", {{"x", noise({4, 6, 5})}, {"y", at::ones({4})}});
  put_npz(folder / "PICTURES.NPZ", {{"arr_0", noise({4, 6, 5})}});
  EXPECT_EQ(kind_of(folder / "rows.npz"), SourceKind::table);
  EXPECT_EQ(kind_of(folder / "ROWS.NPZ"), SourceKind::table);
  EXPECT_EQ(kind_of(folder / "pictures.npz"), SourceKind::pictures);
  EXPECT_EQ(kind_of(folder / "PICTURES.NPZ"), SourceKind::pictures);
}

// Two bytes of bools that are none: whoever reads them says so.
TEST(SourceKind, IsFoundWithoutTheValues) {
  const TemporaryFolder folder;
  put(folder / "a.npy",
      io::testing::npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\2\2"));
  EXPECT_EQ(kind_of(folder / "a.npy"), SourceKind::table);
  EXPECT_THROW(read_table(folder / "a.npy", {}), Error);
}

// The error's kind is usage: the request is wrong.
std::string refusal(const DataOptions& options) {
  try {
    open_training_data(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return {};
}

TEST(TrainingData, RefusesSharesThatItsSourceDoesNotHoldOut) {
  const TemporaryFolder folder;
  io::write_npy(folder / "pictures.npy", noise({8, 6, 5}));
  io::write_npy(folder / "rows.npy", at::arange(60, at::kFloat).view({20, 3}));
  io::write_npz(folder / "steps.npz",
                {{"action", at::arange(60, at::kFloat).view({30, 2})},
                 {"state", at::arange(60, at::kFloat).view({30, 2})},
                 {"episode_ends", at::tensor({std::int64_t{10}, std::int64_t{30}})}});
  const auto with = [&](const char* source, double validation, double test) {
    const bool file = std::string_view(source).find('.') != std::string_view::npos;
    return refusal({.source = file ? (folder / source).string() : source,
                    .labels = false,
                    .count = 50,
                    .validation = validation,
                    .test = test});
  };
  const double said_by_nobody = DataOptions{}.validation;
  for (const char* source : {"pictures.npy", "rose"}) {
    EXPECT_EQ(with(source, said_by_nobody, 0), "") << source;
    EXPECT_EQ(with(source, 0, 0), "") << source;
    EXPECT_TRUE(has(with(source, 0.2, 0), "data.validation = 0.2")) << source;
    EXPECT_TRUE(has(with(source, said_by_nobody, 0.3), "data.test = 0.3")) << source;
    EXPECT_TRUE(has(with(source, 0, 0.3), source)) << source;
  }
  EXPECT_EQ(with("rows.npy", 0.2, 0.3), "");
  EXPECT_EQ(with("steps.npz", 0.5, 0), "");
  EXPECT_TRUE(has(with("steps.npz", 0.5, 0.3), "demonstrations"));
}

}  // namespace
}  // namespace calor::data
