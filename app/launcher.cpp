// calor: answers requests for help, and for lists and texts that are always the same, from a file,
// and begins the program proper, whose LibTorch takes a third of a second to load, only where there
// is work to do.
//
// The program proper is the shared library libcalor_engine.so beside this file, or in the place
// where `make install` puts it. It is loaded after the environment is set that its thread pool
// reads when it is loaded: idle threads that sleep.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

namespace {

namespace fs = std::filesystem;

// Where this program lies, links followed.
fs::path own_folder() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).parent_path();
}

// The folder of the engine; that of this program where it is in none of its places.
fs::path engine_folder() {
  const fs::path own = own_folder();
  std::error_code ignored;
  const fs::path installed = own / CALOR_ENGINE_FOLDER;
  return fs::exists(installed / CALOR_ENGINE_NAME, ignored) &&
                 !fs::exists(own / CALOR_ENGINE_NAME, ignored)
             ? installed
             : own;
}

std::string joined(int argc, char** argv, const std::string& first) {
  std::string words = first;
  for (int i = 1; i < argc; ++i) words += std::string(" ") + argv[i];
  return words;
}

// What may be in the file for these words: "calor train" for `calor train --help`, "= presets" for
// `calor presets`; nothing where they are too many.
std::optional<std::string> text_key(int argc, char** argv) {
  if (argc < 2 || argc > 4) return std::nullopt;
  const std::string last = argv[argc - 1];
  if (last == "--help" || last == "-h") return joined(argc - 1, argv, "calor");
  return joined(argc, argv, "=");
}

// The text that `calor --write-help` wrote for the key: a line with a form feed and the key, then
// the text up to the next.
std::optional<std::string> stored_text(const fs::path& file, const std::string& key) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream all;
  all << stream.rdbuf();
  const std::string texts = all.str();
  const std::string head = "\f" + key + "\n";
  const auto begin = texts.find(head);
  if (begin == std::string::npos) return std::nullopt;
  const auto from = begin + head.size();
  return texts.substr(from, texts.find('\f', from) - from);
}

int fail(const std::string& expected, const std::string& found, const std::string& hint) {
  std::fprintf(stderr, "calor: error\nexpected: %s\nfound:    %s\nto do:    %s\n", expected.c_str(),
               found.c_str(), hint.c_str());
  return 1;
}

// A file that is opened where a standard one was closed would get what the program says.
void open_standard_files() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(file, F_GETFD) == -1) static_cast<void>(open("/dev/null", O_RDWR));
  }
}

int fail_without_engine(const std::string& found) {
  return fail("the program's own library, " CALOR_ENGINE_NAME, found,
              "build or install Calor again");
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_files();
  const fs::path folder = engine_folder();
  if (const auto key = text_key(argc, argv)) {
    if (const auto text = stored_text(folder / "help.txt", *key)) {
      std::fputs(text->c_str(), stdout);
      if (std::fflush(stdout) == 0) return 0;
      return fail("standard output that takes the text",
                  std::error_code(errno, std::generic_category()).message(),
                  "free some space, or write it to another place");
    }
  }
  // The engine's libraries end the program where it is gone.
  std::error_code gone;
  if (fs::current_path(gone).empty()) {
    return fail("a working folder", gone.message(), "change to a folder that is there");
  }
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  void* engine = dlopen((folder / CALOR_ENGINE_NAME).c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (engine == nullptr) return fail_without_engine(dlerror());
  using Main = int (*)(int, char**);
  const auto engine_main = reinterpret_cast<Main>(dlsym(engine, "calor_main"));
  if (engine_main == nullptr) return fail_without_engine(dlerror());
  return engine_main(argc, argv);
}
