// MediaPipe's networks for faces keep their tensors' names; their operators go on as metadata.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "weights_converter/network_plans.h"
#include "weights_converter/plan_tensors.h"

namespace g2s::convert {
namespace {

using nlohmann::json;

constexpr std::size_t most_graph = 1u << 20;  // bytes of JSON that are looked at
constexpr std::int64_t box_numbers = 16;      // a box and six points

struct Graph {
  std::vector<Dims> inputs, outputs;
  std::size_t operators = 0;
};

std::vector<Dims> shapes_of(const json& ends) {
  std::vector<Dims> shapes;
  for (const json& end : ends) {
    shapes.emplace_back();
    for (const json& d : end.at("shape")) shapes.back().push_back(d.get<std::int64_t>());
  }
  return shapes;
}

// Nothing where there is no graph, or one that is not as tflite.cpp writes it.
std::optional<Graph> graph_of(const Checkpoint& checkpoint) {
  const auto found = checkpoint.metadata.find("graph");
  if (found == checkpoint.metadata.end() || found->second.size() > most_graph) return std::nullopt;
  try {
    const json graph = json::parse(found->second);
    return Graph{shapes_of(graph.at("inputs")), shapes_of(graph.at("outputs")), graph.at("operators").size()};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

// The side of the square picture that goes in.
std::optional<std::int64_t> side_of(const Graph& graph) {
  if (graph.inputs.size() != 1 || graph.inputs[0].size() != 4) return std::nullopt;
  const std::int64_t side = graph.inputs[0][1];
  return graph.inputs[0] == Dims{1, side, side, 3} ? std::optional(side) : std::nullopt;
}

// How many boxes it gives, each with a score.
std::optional<std::int64_t> boxes_of(const Graph& graph) {
  if (!side_of(graph) || graph.outputs.size() != 2 || graph.outputs[0].size() != 3) return std::nullopt;
  const std::int64_t boxes = graph.outputs[0][1];
  const bool fits = graph.outputs[0] == Dims{1, boxes, box_numbers} && graph.outputs[1] == Dims{1, boxes, 1};
  return fits ? std::optional(boxes) : std::nullopt;
}

// How many points of three coordinates it gives, and a score of the face.
std::optional<std::int64_t> points_of(const Graph& graph) {
  if (!side_of(graph) || graph.outputs.size() != 2 || graph.outputs[0].size() != 4) return std::nullopt;
  const std::int64_t numbers = graph.outputs[0][3];
  const bool fits = graph.outputs[0] == Dims{1, 1, 1, numbers} && numbers % 3 == 0 && graph.outputs[1] == Dims{1, 1, 1, 1};
  return fits ? std::optional(numbers / 3) : std::nullopt;
}

// A network from a square picture to `count` of something, which are called `things`. Its kind is `name` with a dash for the space.
ConversionPlan plan_of(const Checkpoint& checkpoint, const Request& request, const Graph& graph, const char* name, std::int64_t count, const char* things) {
  const std::shared_ptr<const Checkpoint> borrowed(std::shared_ptr<void>(), &checkpoint);
  ConversionPlan plan = plan_tensors({borrowed}, request);
  plan.kind = name;
  std::replace(plan.kind.begin(), plan.kind.end(), ' ', '-');
  const std::int64_t side = *side_of(graph);
  plan.metadata["graph"] = checkpoint.metadata.at("graph");
  plan.metadata["size"] = str(side);
  plan.metadata[things] = str(count);
  plan.description = str(name, ", ", side, "x", side, ", ", count, " ", things, ", ", graph.operators, " operators");
  return plan;
}

}  // namespace

bool is_face_detector(const Checkpoint& checkpoint) {
  const std::optional<Graph> graph = graph_of(checkpoint);
  return graph && boxes_of(*graph);
}

bool is_face_landmarks(const Checkpoint& checkpoint) {
  const std::optional<Graph> graph = graph_of(checkpoint);
  return graph && points_of(*graph) && *points_of(*graph) > 1;
}

ConversionPlan plan_face_detector(const Checkpoint& checkpoint, const Request& request) {
  const std::optional<Graph> graph = graph_of(checkpoint);
  if (!graph || !boxes_of(*graph)) fail(Errc::format, checkpoint.path, "has no graph from a square picture to boxes of ", box_numbers, " numbers and scores");
  return plan_of(checkpoint, request, *graph, "face detector", *boxes_of(*graph), "boxes");
}

ConversionPlan plan_face_landmarks(const Checkpoint& checkpoint, const Request& request) {
  const std::optional<Graph> graph = graph_of(checkpoint);
  if (!graph || !points_of(*graph)) fail(Errc::format, checkpoint.path, "has no graph from a square picture to points of a face and a score");
  return plan_of(checkpoint, request, *graph, "face landmarks", *points_of(*graph), "points");
}

}  // namespace g2s::convert
