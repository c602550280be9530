// Predict the masses of jets with an exported model: masses MODEL JETS
//
// MODEL is model_sparse.onnx; README.md in this folder describes JETS. The standard output has one line per jet, in the
// order of the file: the mass in GeV and, if the model has them, the quantiles of the mass.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

constexpr std::size_t batch_size = 256;
constexpr std::size_t hit_size = 4;  // row, column, layer, value
constexpr std::int32_t max_hits = 8 * 125 * 125;  // pixels of all layers

struct Jet {
  std::array<float, 2> position;  // ieta, iphi
  std::vector<float> hits;
};

struct Session {
  Ort::Session session;
  std::vector<std::string> inputs, outputs;

  Session(const Ort::Env& environment, const char* model) : session(nullptr) {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    session = Ort::Session(environment, model, options);
    Ort::AllocatorWithDefaultOptions allocator;
    for (std::size_t i = 0; i < session.GetInputCount(); ++i)
      inputs.emplace_back(session.GetInputNameAllocated(i, allocator).get());
    for (std::size_t i = 0; i < session.GetOutputCount(); ++i)
      outputs.emplace_back(session.GetOutputNameAllocated(i, allocator).get());
    if (inputs[0] != "hits") throw std::runtime_error(std::string(model) + ": no input 'hits': not model_sparse.onnx");
  }
};

// Read the next jet; return false at the end of the file. Error messages begin with `where`.
bool read_jet(std::ifstream& file, const std::string& where, Jet& jet) {
  const auto read = [&](void* to, std::size_t bytes) { return bool(file.read(static_cast<char*>(to), bytes)); };
  std::int32_t hits = 0;
  if (file.peek() == std::ifstream::traits_type::eof()) return false;
  if (!read(&hits, sizeof hits)) throw std::runtime_error(where + "the file ends within it");
  if (hits < 0 || hits > max_hits) throw std::runtime_error(where + std::to_string(hits) + " hits");
  jet.hits.resize(hits * hit_size);
  if (!read(jet.position.data(), sizeof jet.position) || !read(jet.hits.data(), jet.hits.size() * sizeof(float)))
    throw std::runtime_error(where + "the file ends within it");
  const auto finite = [](float number) { return std::isfinite(number); };
  if (!std::all_of(jet.hits.begin(), jet.hits.end(), finite) ||
      !std::all_of(jet.position.begin(), jet.position.end(), finite))
    throw std::runtime_error(where + "a number that is not finite");
  return true;
}

// Print the predictions for these jets; their hits are padded with zeros to the largest number of hits.
void print_masses(Session& model, const std::vector<Jet>& jets) {
  std::size_t longest = hit_size;
  for (const Jet& jet : jets) longest = std::max(longest, jet.hits.size());
  std::vector<float> hits(jets.size() * longest, 0.0f), position;
  for (std::size_t i = 0; i < jets.size(); ++i) {
    std::copy(jets[i].hits.begin(), jets[i].hits.end(), hits.begin() + i * longest);
    position.insert(position.end(), jets[i].position.begin(), jets[i].position.end());
  }
  const std::int64_t count = jets.size();
  const std::array<std::int64_t, 3> shape{count, std::int64_t(longest / hit_size), hit_size};
  const std::array<std::int64_t, 2> position_shape{count, 2};
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::array<Ort::Value, 2> values{
      Ort::Value::CreateTensor<float>(memory, hits.data(), hits.size(), shape.data(), shape.size()),
      Ort::Value::CreateTensor<float>(memory, position.data(), position.size(), position_shape.data(), 2)};
  // A model that was trained without positions has no second input.
  std::vector<const char*> inputs, outputs;
  for (const std::string& name : model.inputs) inputs.push_back(name.c_str());
  for (const std::string& name : model.outputs) outputs.push_back(name.c_str());
  const auto results = model.session.Run(Ort::RunOptions{nullptr}, inputs.data(), values.data(), inputs.size(),
                                         outputs.data(), outputs.size());
  for (std::size_t i = 0; i < jets.size(); ++i)
    for (std::size_t output = 0; output < results.size(); ++output) {
      const std::size_t numbers = results[output].GetTensorTypeAndShapeInfo().GetElementCount() / jets.size();
      const float* row = results[output].GetTensorData<float>() + i * numbers;
      for (std::size_t k = 0; k < numbers; ++k) std::printf(output + k ? " %.3f" : "%.3f", row[k]);
      if (output + 1 == results.size()) std::printf("\n");
    }
}

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: masses MODEL JETS");
  std::ifstream file(argv[2], std::ios::binary);
  if (!file) throw std::runtime_error(std::string(argv[2]) + ": cannot be read");
  const Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "masses");
  Session model(environment, argv[1]);
  std::size_t row = 0;
  std::vector<Jet> jets;
  for (Jet jet; read_jet(file, argv[2] + (": jet " + std::to_string(row)) + ": ", jet); ++row) {
    jets.push_back(jet);
    if (jets.size() == batch_size) {
      print_masses(model, jets);
      jets.clear();
    }
  }
  if (!jets.empty()) print_masses(model, jets);
  if (row == 0) throw std::runtime_error(std::string(argv[2]) + ": no jet");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "masses: error: %s\n", error.what());
  return 1;
}
