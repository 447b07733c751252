// Finds an operator's bodies for an instruction set. Not for the instruction sets' own sources.
#pragma once

#include <cstring>
#include <initializer_list>

namespace coppice {

// The table named `isa`, or the longest-named one that it extends ("neon_fp16" extends "neon"); `tables` begins with the
// scalar one, which is taken where no other fits.
template <class Table>
const Table& table_for(const char* isa, std::initializer_list<const Table*> tables) {
  const Table* best = *tables.begin();
  size_t matched = 0;
  for (const Table* table : tables) {
    const size_t length = std::strlen(table->isa);
    if (length > matched && std::strncmp(isa, table->isa, length) == 0) {
      best = table;
      matched = length;
    }
  }
  return *best;
}

}  // namespace coppice
