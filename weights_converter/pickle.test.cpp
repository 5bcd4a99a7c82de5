// Pickles written by hand, opcode by opcode; files that Python wrote are tests/convert's.
#include "weights_converter/pickle.h"

#include <doctest/doctest.h>

#include "engine/error.h"
#include "weights_converter/checkpoint.h"

using namespace g2s;
using namespace g2s::convert;

namespace {

struct Read {
  ReadContext context;
  const Value* root;
  explicit Read(const std::string& text) : context("file", text.size()), root(unpickle(context, own_bytes(text)).root) {}
};

std::string error_of(const std::string& pickle) {
  try {
    read_checkpoint("file", own_bytes(pickle), Format::pickle);
  } catch (const Error& e) {
    CHECK(e.op() == "file");
    return e.message();
  }
  return "no error";
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

using namespace std::string_literals;

}  // namespace

TEST_CASE("pickle: numbers, texts and containers of every protocol") {
  CHECK(*Read("I42\n.").root->integer() == 42);
  CHECK(*Read("I01\n.").root->boolean());
  CHECK(*Read("L-7L\n.").root->integer() == -7);
  CHECK(std::get<double>(Read("F-1.5e2\n.").root->data) == -150);
  CHECK(*Read("S'a\\x41\\n\\''\n.").root->string() == "aA\n'");
  CHECK(*Read("V\\u00e9\xe9\\U0001f600\n.").root->string() == "\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(*Read("J\xff\xff\xff\xff.").root->integer() == -1);
  CHECK(*Read("\x8a\x02\x00\xff."s).root->integer() == -256);
  CHECK(*Read("\x8a\x00."s).root->integer() == 0);
  CHECK(Read("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."s).root->kind == Value::Kind::big_integer);
  CHECK(std::get<double>(Read("G\x3f\xf8\x00\x00\x00\x00\x00\x00."s).root->data) == 1.5);
  CHECK(*Read("(dU\x01kK\x05sU\x01kK\x06s."s).root->get("k")->integer() == 6);
  CHECK(Read("(K\x01K\x02lK\x03"s + "a.").root->items()->size() == 3);
  CHECK(Read("\x80\x04\x8f(K\x01K\x02\x90."s).root->kind == Value::Kind::set);
  CHECK(*Read("\x80\x04\x8c\x02hi\x94h\x00\x86."s).root->at(1)->string() == "hi");
  CHECK(Read("(NNt0K\x01."s).root->integer());  // POP
  CHECK(Read("(NN1K\x01."s).root->integer());   // POP_MARK
}

TEST_CASE("pickle: what a file asks for beyond data is refused by its name") {
  CHECK(says(error_of("cos\nsystem\n(S'echo'\ntR."), "os.system"));
  CHECK(says(error_of("cposix\nsystem\n(S'echo'\ntR."), "posix.system"));
  CHECK(says(error_of("\x80\x04\x8c\x08"s + "builtins\x8c\x04" + "eval\x93\x8c\x01x\x85R."), "builtins.eval"));
  CHECK(says(error_of("(S'x'\nios\nsystem\n."), "os.system"));
  CHECK(says(error_of("ctorch\nload\n."), "torch.load"));
  CHECK(says(error_of("cos\x1b[2J\nsystem\n."), "os?[2J.system"));  // nothing that a terminal would act on
  CHECK(says(error_of("cnumpy\nndarray\n)R."), "only ever named"));
  CHECK(says(error_of("K\x01)R."), "no class or function"));
  CHECK(says(error_of("c__builtin__\nlist\nN\x85\x62."), "state"));
  CHECK(says(error_of("P1\n."), "protocol above 0"));
  CHECK(says(error_of("\x80\x02\x82\x01."), "registry of extensions"));
  CHECK(says(error_of("\x80\x05\x97."), "out-of-band"));
  CHECK(says(error_of("\x80\x06."), "protocol 6"));
}

TEST_CASE("pickle: malformed ones say so") {
  for (const std::string& text :
       {"."s, "0."s, "a."s, "(."s, "K"s, "K\x01"s, "e."s, "t."s, "NNs."s, "(NNNd."s, "h\x05."s, "\xff."s, "Ix\n."s, "X\xff\xff\xff\x7f."s,
        "\x8d\xff\xff\xff\xff\xff\xff\xff\xff."s, "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."s, "X\x01\x00\x00\x00\xff."s, "NN."s + "x"}) {
    CAPTURE(text);
    CHECK(error_of(text) != "no error");
  }
}

TEST_CASE("pickle: depth, cycles and repetition end with an error, in little memory") {
  CHECK(says(error_of(repeated("]", 1000) + repeated("a", 999) + "."), "nested more than"));
  CHECK(says(error_of("]q\x00h\x00"s + "a."), "contains itself"));
  CHECK(says(error_of("}q\x00U\x01kh\x00s."s), "contains itself"));
  CHECK(says(error_of(repeated("N", 2'000'000) + "."), "stack"));
  CHECK(says(error_of(repeated("(", 2'000'000) + "."), "marks"));
  CHECK(says(error_of("(" + repeated("]0", 1'000'000) + "."), "MiB of small values"));
  std::string laughs = "]q\x00"s;  // each list holds the one before ten times
  for (int i = 0; i < 12; ++i) laughs += "](" + repeated("h"s + static_cast<char>(i), 10) + "eq" + static_cast<char>(i + 1);
  CHECK(says(error_of(laughs + "."), "more work than"));
}

TEST_CASE("pickle: Python 2's dictionaries and encoded bytes") {
  const std::string array =
      "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-"
      "1\nI-1\nI0\ntbI00\n";
  const auto file = read_checkpoint("file", own_bytes("(dS'x'\n" + array + "S'\\x00\\x00\\x80?\\x00\\x00\\x00@'\ntbs."), Format::pickle);
  REQUIRE(file->find("x"));
  CHECK(read_values(*file->find("x")) == std::vector<double>{1, 2});
  CHECK(says(error_of(array + "S'abc'\ntb."), "with 3 bytes"));
  const std::string encoded = "c_codecs\nencode\n(V\\u0000\\u0000\x80?\x00\x00\x00@\nVlatin1\ntR"s;
  const auto from_text = read_checkpoint("file", own_bytes(array + encoded + "tb."), Format::pickle);
  CHECK(read_values(from_text->tensors.at(0)) == std::vector<double>{1, 2});
  CHECK(says(error_of("c_codecs\nencode\n(V\\u0100\nVlatin1\ntR."), "latin1"));
}
