// Demonstrations in robomimic's layout: the same as .npz, their names, and what must be refused.
#include "calor/data/robomimic.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calor/data/open.h"
#include "calor/data/training_data.h"
#include "calor/io/npy.h"
#include "tests/data/support.h"
#include "tests/io/hdf5_maker.h"

namespace calor::data {
namespace {

using namespace calor::data::testing;
using io::testing::Hdf5Maker;

// Four episodes of 4, 2, 5 and 3 steps: what the robot saw and did, as one array each.
const std::vector<std::int64_t> lengths{4, 2, 5, 3};
const at::Tensor actions = at::sin(at::arange(14 * 2, at::kDouble)).view({14, 2});
const at::Tensor joints = at::cos(at::arange(14 * 3, at::kFloat)).view({14, 3});
const at::Tensor camera = noise({14, 6, 4, 3});

class Robomimic : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0); }

  // The episodes as demo_0, demo_2, demo_10 and demo_11, which sorted as texts are in another
  // order. `pictures` replaces the camera's.
  void write(const at::Tensor& pictures = camera, const char* name_of_actions = "actions") const {
    const char* names[] = {"data/demo_0/", "data/demo_2/", "data/demo_10/", "data/demo_11/"};
    Hdf5Maker file(path);
    file.group("mask");
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < lengths.size(); begin += lengths[i++]) {
      const std::string demo = names[i];
      const auto part = [&](const at::Tensor& all) { return all.narrow(0, begin, lengths[i]); };
      file.put(demo + name_of_actions, part(actions));
      file.put(demo + "rewards", at::ones({lengths[i]}));
      file.put(demo + "states", part(joints) * 2);
      file.put(demo + "obs/joints", part(joints));
      file.put(demo + "obs/states", part(joints) * 3);
      file.put_packed(demo + "obs/camera", part(pictures));
      file.put(demo + "next_obs/joints", part(joints));
    }
  }

  void write_npz() const {
    put_npz(plain, {{"actions", actions},
                    {"joints", joints},
                    {"camera", camera},
                    {"episode_ends", at::tensor({4, 6, 11, 14}, at::kLong)}});
  }

  // The error after `change` was made to the good file.
  std::string error(const std::function<void(hid_t file)>& change,
                    const std::string& observations = "joints") const {
    write();
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    change(file);
    H5Fclose(file);
    return error_of([&] { read_demonstrations(path, {.observations = observations}); });
  }

  TemporaryFolder folder;
  fs::path path = folder / "a.hdf5", plain = folder / "a.npz";
};

void remove(hid_t file, const char* name) { H5Ldelete(file, name, H5P_DEFAULT); }

// `name` replaced by another array.
void replace(hid_t file, const char* name, const at::Tensor& array) {
  remove(file, name);
  const std::vector<hsize_t> shape(array.sizes().begin(), array.sizes().end());
  const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  const hid_t set =
      H5Dcreate2(file, name, H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const at::Tensor values = array.to(at::kFloat).contiguous();
  if (values.numel() > 0) {
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.const_data_ptr());
  }
  H5Dclose(set);
  H5Sclose(space);
}

TEST_F(Robomimic, AreTheSameDemonstrationsAsNpz) {
  write();
  write_npz();
  ASSERT_TRUE(holds_demonstrations(path));
  const DemonstrationOptions options{.actions = "actions", .observations = "camera joints[1:3]"};
  const Demonstrations a = read_demonstrations(path, options);
  const Demonstrations b = read_demonstrations(plain, options);
  EXPECT_EQ(a.ends, (std::vector<std::int64_t>{4, 6, 11, 14}));
  EXPECT_EQ(a.ends, b.ends);
  EXPECT_TRUE(at::equal(a.actions, actions.to(at::kFloat)));
  EXPECT_TRUE(at::equal(a.observations, joints.narrow(1, 1, 2)));
  EXPECT_TRUE(at::equal(a.pictures, camera));
  EXPECT_TRUE(at::equal(a.actions, b.actions));
  EXPECT_TRUE(at::equal(a.observations, b.observations));
  EXPECT_TRUE(at::equal(a.pictures, b.pictures));
}

TEST_F(Robomimic, TrainOnTheSameWindowsAsNpz) {
  write();
  write_npz();
  DataOptions options;
  options.validation = 0.5;
  options.demonstrations = {.actions = "actions",
                            .observations = "joints camera",
                            .history = 2,
                            .chunk = 4,
                            .execute = 2};
  options.source = path.string();
  const TrainingData a = open_training_data(options);
  options.source = plain.string();
  const TrainingData b = open_training_data(options);
  for (const auto& [x, y] : {std::pair(a.train, b.train), std::pair(a.validation, b.validation)}) {
    ASSERT_EQ(x->size(), y->size());
    EXPECT_EQ(x->fingerprint(), y->fingerprint());
    Batch left, right;
    for (std::int64_t i = 0; i < x->size(); ++i) left.indices.push_back(i);
    right.indices = left.indices;
    x->fill(left, 0, 0, false);
    y->fill(right, 0, 0, false);
    EXPECT_TRUE(at::equal(left.items, right.items));
    EXPECT_TRUE(at::equal(left.condition, right.condition));
    EXPECT_TRUE(at::equal(left.pictures, right.pictures));
  }
  EXPECT_EQ(a.notes, b.notes);
}

TEST_F(Robomimic, CallsArraysByTheirShortNames) {
  write();
  std::string listed;
  for (const auto& array : list_demonstrations(path)) {
    listed += fmt::format("{} {} {}{}; ", array.name, c10::toString(array.type),
                          io::shape_text(array.shape), array.is_pictures() ? " pictures" : "");
  }
  EXPECT_EQ(listed,
            "actions Double [14, 2]; camera Byte [14, 6, 4, 3] pictures; episode_ends Long [4]; "
            "joints Float [14, 3]; next_obs/joints Float [14, 3]; obs/states Float [14, 3]; "
            "rewards Float [14]; states Float [14, 3]; ");
  const auto observed = [&](const char* name) {
    return read_demonstrations(path, {.observations = name});
  };
  EXPECT_TRUE(at::equal(observed("joints").observations, joints));
  EXPECT_TRUE(at::equal(observed("obs/joints").observations, joints));
  EXPECT_TRUE(at::equal(observed("states").observations, joints * 2));
  EXPECT_TRUE(at::equal(observed("obs/states").observations, joints * 3));
  EXPECT_TRUE(at::equal(observed("obs/camera").pictures, camera));
  // The default name of the actions, and robomimic's.
  for (const char* stored : {"action", "actions"}) {
    write(camera, stored);
    for (const char* asked : {"action", "actions"}) {
      const Demonstrations read =
          read_demonstrations(path, {.actions = asked, .observations = "joints"});
      EXPECT_TRUE(at::equal(read.actions, actions.to(at::kFloat)));
    }
  }
}

TEST_F(Robomimic, TakePicturesOfFloatsAsBytes) {
  write(camera.to(at::kFloat));
  EXPECT_TRUE(at::equal(read_demonstrations(path, {.observations = "camera"}).pictures, camera));
  write(camera.to(at::kFloat) / 255);
  EXPECT_TRUE(
      has(error_of([&] { read_demonstrations(path, {.observations = "camera"}); }), "times 255"));
}

TEST_F(Robomimic, RefuseWhatIsMissing) {
  EXPECT_TRUE(has(error([](hid_t) {}, "joint"), "'joints'"));
  EXPECT_TRUE(has(error([](hid_t file) { remove(file, "data/demo_2/obs/joints"); }),
                  "\"data/demo_2\" has none"));
  EXPECT_TRUE(has(error([](hid_t file) {
                    H5Lmove(file, "data/demo_2/obs/joints", file, "data/demo_2/obs/joint",
                            H5P_DEFAULT, H5P_DEFAULT);
                  }),
                  "\"data/demo_2\" has none; there is \"obs/joint\""));
  EXPECT_TRUE(has(error([](hid_t file) { remove(file, "data/demo_11/actions"); }),
                  "'actions' in each demonstration"));
  EXPECT_TRUE(
      has(error([](hid_t file) { remove(file, "data"); }), "no group 'data'; there is \"mask\""));
  EXPECT_TRUE(has(error([](hid_t file) {
                    for (const char* demo : {"demo_0", "demo_2", "demo_10"}) {
                      remove(file, ("data/" + std::string(demo)).c_str());
                    }
                    H5Lmove(file, "data/demo_11", file, "data/trial_11", H5P_DEFAULT, H5P_DEFAULT);
                  }),
                  "none in the group 'data'; there is \"data/trial_11\""));
}

TEST_F(Robomimic, RefuseWhatDoesNotFit) {
  const char* name = "data/demo_10/obs/joints";
  const auto replaced = [&](const at::Tensor& array) {
    return error([&](hid_t file) { replace(file, name, array); });
  };
  EXPECT_TRUE(has(replaced(at::zeros({4, 3})), "\"data/demo_10\" has 4"));
  EXPECT_TRUE(has(replaced(at::zeros({5, 2})), "\"data/demo_10/obs/joints\" Float [5, 2]"));
  EXPECT_TRUE(has(replaced(at::zeros({})), "\"data/demo_10\" has none"));
  at::Tensor bad = at::zeros({5, 3});
  bad[1][2] = NAN;
  // Step 1 of the third episode, which begins at step 6.
  EXPECT_TRUE(has(replaced(bad), "the first at step 7, column 2"));
  EXPECT_TRUE(has(error([](hid_t file) {
                    replace(file, "data/demo_2/actions", at::zeros({0, 2}));
                  }),
                  "\"data/demo_2\" has none"));
  EXPECT_TRUE(has(error([](hid_t) {}, "rewards"), "one row for each step"));
  put(path, "nothing");
  EXPECT_TRUE(has(error_of([&] { list_demonstrations(path); }), "an HDF5 file"));
}

}  // namespace
}  // namespace calor::data
