// Baselines of a table's density, on the rows and in the units that `calor score` uses: a Gaussian
// with full covariance and a mixture of Gaussians, fitted on the training part alone. Writes the
// encoded parts as .npy files for a peer (bench/peers/nsf_table.py), and each test row's
// log-density, so that models can be compared row by row (bench/table_density.sh).
//
//     build/bench/table_baselines DATA [data.key=value ...] --out DIR [--seed 0] [--exact FILE.csv]
//     build/bench/table_baselines --synthetic power|blobs --out FILE.npy [--rows 20000] [--seed 0]
//
// The second form draws a table of six columns from a known mixture of Gaussians, and writes each
// row's exact log-density to FILE.exact.csv, which --exact reads.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <unordered_map>

#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/data/training_data.h"
#include "calor/io/csv.h"
#include "calor/io/npy.h"
#include "calor/metric/estimate.h"
#include "calor/metric/gaussian.h"
#include "calor/metric/gaussian_mixture.h"

namespace {

using namespace calor;
namespace fs = std::filesystem;

struct Arguments {
  std::string data, out, exact, synthetic;
  std::vector<std::string> settings;
  std::int64_t seed = 0, score_seed = 0, copies = 1, components = 20, rows = 20'000;
  int threads = 0;
};

// --- a table whose density is known ---

// A mixture of `components` Gaussians in six dimensions, with directions and scales at random.
struct Law {
  const char* name;
  std::int64_t components;
  double spread;     // standard deviation of the means
  double low, high;  // standard deviations along the axes of a component: log-uniform
  std::uint64_t key;
};

// Like POWER (the household's electricity, six columns): many narrow clusters along few directions.
constexpr Law laws[] = {
    {"power", 24, 1.0, 0.03, 0.8, 1},
    {"blobs", 5, 2.0, 0.3, 1.0, 2},
};
constexpr std::int64_t law_width = 6;

metric::GaussianMixture mixture_of(const Law& law) {
  const RandomKey key = random_key(law.key, RandomUse::test);
  const std::int64_t k = law.components;
  const auto normal = [&](std::uint64_t use, at::IntArrayRef shape) {
    at::Tensor out = at::empty(shape, at::kDouble);
    fill_normal(key.child(use),
                {out.mutable_data_ptr<double>(), static_cast<std::size_t>(out.numel())});
    return out;
  };
  at::Tensor uniform = at::empty({k, law_width + 1}, at::kDouble);
  fill_uniform(key.child(2),
               {uniform.mutable_data_ptr<double>(), static_cast<std::size_t>(uniform.numel())});
  const at::Tensor weights = 0.2 + uniform.select(1, law_width);
  const at::Tensor deviations =
      at::exp(std::log(law.low) + uniform.narrow(1, 0, law_width) * std::log(law.high / law.low));
  const at::Tensor axes =
      std::get<0>(at::linalg_qr(normal(1, {k, law_width, law_width}), "reduced"));
  const at::Tensor roots = axes * deviations.unsqueeze(1);
  const at::Tensor covariances = at::matmul(roots, roots.transpose(1, 2));
  return {weights, law.spread * normal(0, {k, law_width}),
          (covariances + covariances.transpose(1, 2)) / 2};
}

void write_log_density(const fs::path& file, const std::vector<std::int64_t>& rows,
                       const at::Tensor& log_density, const char* name) {
  const std::vector<std::string> header{"row", name};
  const double* values = log_density.const_data_ptr<double>();
  io::write_csv(file, header, rows.size(), header.size(), [&](std::size_t row, std::size_t column) {
    return column == 0 ? std::to_string(rows[row]) : fmt::format("{}", values[row]);
  });
}

int write_synthetic(const Arguments& a) {
  constexpr std::int64_t many = 400'000;
  for (const auto& law : laws) {
    if (a.synthetic != law.name) continue;
    const auto mixture = mixture_of(law);
    const RandomKey key = random_key(static_cast<std::uint64_t>(a.seed), RandomUse::points);
    const at::Tensor x = mixture.sample(a.rows, key.child(0));
    std::vector<std::int64_t> numbers;
    for (std::int64_t row = 1; row <= a.rows; ++row) numbers.push_back(row);
    io::write_npy(a.out, x);
    write_log_density(fs::path(a.out).replace_extension(".exact.csv"), numbers,
                      mixture.log_density(x), "log_density");
    const auto entropy =
        metric::mean_and_standard_error(-mixture.log_density(mixture.sample(many, key.child(1))));
    std::printf("%s: %ld rows of %ld columns; entropy %.4f +- %.4f nats, units of the file\n",
                law.name, static_cast<long>(a.rows), static_cast<long>(law_width), entropy.mean,
                entropy.standard_error);
    return 0;
  }
  return 2;  // the command line has checked the name
}

// --- baselines of a given table ---

struct Parts {
  data::Encoded train, validation, test;
  std::vector<std::int64_t> test_rows;
};

data::DataOptions data_options(const Arguments& a) {
  data::DataOptions options;
  options.source = a.data;
  options.test = 0.2;
  options.table.encoding = data::NumberEncoding::standardise;
  config::Options declared;
  options.declare(declared);
  for (const auto& setting : a.settings) declared.assign(setting, "command line");
  if (!options.table.condition.empty()) {
    throw usage_error("a table without a condition", "data.condition",
                      "the baselines are of all columns together");
  }
  return options;
}

// Keys as in training (train and validation: data/training_data.cpp) and as in `calor score --seed`
// (test: app/rows_argument.cpp), so that all models see the same dequantised values.
Parts open_parts(const Arguments& a, const data::DataOptions& options) {
  const data::TableSplit split = data::open_table_split(options);
  if (split.test.rows() < 2 || split.validation.rows() < 2) {
    throw usage_error("held-out rows for validation and testing",
                      fmt::format("{} and {}", split.validation.rows(), split.test.rows()),
                      "set data.validation=0.1 and data.test=0.2");
  }
  const auto codec = data::TableCodec::fit(split.train, options.table);
  std::printf("%s: %zu rows for training, %zu for validation, %zu for testing\n%s\n",
              a.data.c_str(), split.train.rows(), split.validation.rows(), split.test.rows(),
              codec.describe().c_str());
  const auto key_of = [](std::int64_t seed) {
    return random_key(static_cast<std::uint64_t>(seed), RandomUse::dequantisation);
  };
  const RandomKey key = key_of(a.seed);
  Parts parts{.train = codec.encode(split.train, key.child(0).child(0)),
              .validation = codec.encode(split.validation, key.child(1).child(0)),
              .test = codec.encode(split.test, key_of(a.score_seed)),
              .test_rows = split.test.row_numbers};
  std::vector<at::Tensor> copies{parts.train.rows};
  for (std::int64_t copy = 1; copy < a.copies; ++copy) {
    copies.push_back(
        codec.encode(split.train, key.child(0).child(static_cast<std::uint64_t>(copy))).rows);
  }
  const fs::path out = a.out;
  fs::create_directories(out);
  io::write_npy(out / "train.npy", at::cat(copies));
  io::write_npy(out / "validation.npy", parts.validation.rows);
  io::write_npy(out / "test.npy", parts.test.rows);
  io::write_npy(out / "test_rows.npy", at::tensor(parts.test_rows, at::kLong));
  // What to add to a log-density of the rows of validation.npy and test.npy.
  io::write_npy(out / "validation_correction.npy", parts.validation.to_standardised);
  io::write_npy(out / "test_correction.npy", parts.test.to_standardised);
  return parts;
}

void report(const Arguments& a, const Parts& parts, const std::string& name,
            const at::Tensor& log_density) {
  const auto nll = metric::mean_and_standard_error(-log_density);
  std::printf("%-10s test NLL %.4f +- %.4f nats a row, standardised units\n", name.c_str(),
              nll.mean, nll.standard_error);
  write_log_density(fs::path(a.out) / (name + ".csv"), parts.test_rows, log_density,
                    "log_density_standardised");
}

// Log-densities in the file's units, by row number; here in standardised units.
void report_exact(const Arguments& a, const Parts& parts) {
  const io::Csv csv = io::read_csv(a.exact);
  std::unordered_map<std::int64_t, double> known;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    known[static_cast<std::int64_t>(io::csv_number(csv.cell(row, 0)))] =
        io::csv_number(csv.cell(row, 1));
  }
  std::vector<double> values;
  for (const std::int64_t row : parts.test_rows) {
    const auto found = known.find(row);
    if (found == known.end()) {
      throw Error("a log-density of every test row", fmt::format("{}: no row {}", a.exact, row),
                  "give the file that was written beside the data");
    }
    values.push_back(found->second);
  }
  report(a, parts, "exact",
         at::tensor(values, at::kDouble) - parts.test.to_original + parts.test.to_standardised);
}

int run(const Arguments& a) {
  if (a.threads > 0) at::set_num_threads(a.threads);
  if (!a.synthetic.empty()) return write_synthetic(a);
  if (a.data.empty()) {
    throw usage_error("a table, or --synthetic NAME", "neither", "see --help");
  }
  const Parts parts = open_parts(a, data_options(a));
  // Columns without noise of their own (a category that is never seen) keep a covariance.
  const auto gaussian = metric::Gaussian::fit(parts.train.rows, 1e-6);
  report(a, parts, "gaussian", gaussian.log_density(parts.test.rows) + parts.test.to_standardised);
  metric::MixtureOptions options;
  options.components = a.components;
  const auto fit = metric::fit_mixture(
      parts.train.rows, options, random_key(static_cast<std::uint64_t>(a.seed), RandomUse::test));
  report(a, parts, "mixture",
         fit.mixture.log_density(parts.test.rows) + parts.test.to_standardised);
  if (!a.exact.empty()) report_exact(a, parts);
  return 0;
}

void add_options(CLI::App& program, Arguments& a) {
  program.add_option("data", a.data, "table; as for calor train");
  program.add_option("settings", a.settings,
                     "data.key=value; unless given, data.test=0.2 and data.encoding=standardise");
  program.add_option("--out", a.out, "folder (or, with --synthetic, .npy file) to write")
      ->required();
  program.add_option("--seed", a.seed, "of dequantisation in training, mixture and synthetic rows")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  program
      .add_option("--score-seed", a.score_seed,
                  "of the test rows' dequantisation: calor score --seed")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  program.add_option("--copies", a.copies, "dequantisations of each row in train.npy")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--components", a.components, "of the mixture")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  program.add_option("--exact", a.exact, "FILE.csv of known log-densities: row, log_density")
      ->check(CLI::ExistingFile);
  program.add_option("--synthetic", a.synthetic, "write a table of known density: power or blobs")
      ->check(CLI::IsMember({"power", "blobs"}));
  program.add_option("--rows", a.rows, "of the synthetic table")
      ->check(CLI::Range(100, 100'000'000))
      ->capture_default_str();
  program.add_option("--threads", a.threads, "threads; the machine's without it")
      ->check(CLI::Range(1, 1024));
}

}  // namespace

int main(int argc, char** argv) {
  calor::prepare_to_compute();
  Arguments a;
  CLI::App program("Baselines of a table's density.", "table_baselines");
  add_options(program, a);
  CLI11_PARSE(program, argc, argv);
  try {
    return run(a);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_status();
  }
}
