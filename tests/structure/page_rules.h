// The rules for the pages that people read, *.md, as functions of their texts, so that each can be tried on bad samples too.
#pragma once

#include "tests/structure/rules.h"

namespace g2s::test {

// No line over 100 columns, not counting the addresses of links. Tables and code may be wider.
Findings check_prose(const SourceFile& file);
// Every relative link opens a file or folder of the repository; #L12 is a line of it, any other #anchor one of its headings.
Findings check_links(const SourceFile& file, const std::vector<SourceFile>& all);
// docs/tour.md: its stops, headings "## 1. ..." and so on, are numbered and end at 20. Each opens files and names functions, `name()` or
// `Class::name()`, and each of these is in a file that the stop opens.
Findings check_tour(const SourceFile& file, const std::vector<SourceFile>& all);
// The method's constants are in docs/method.md: no other text is cited for them.
Findings check_citations(const SourceFile& file);

}  // namespace g2s::test
