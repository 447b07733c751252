// Plugin for qemu-aarch64 7.2: counts the emulated instructions of a program's first thread.
//
// At each marker (hint #90, which does nothing on any processor) a line is written to the file that COPPICE_COUNTS names:
// instructions so far, and vector multiplications of float32 and of bytes among them. Debian's package has no qemu-plugin.h, so the part of
// version 1 of the interface that is needed is declared here.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t Id;
struct Block;
struct Instruction;
extern void qemu_plugin_register_vcpu_tb_trans_cb(Id, void (*)(Id, struct Block*));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct Block*, void (*)(unsigned, void*), int registers, void*);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct Instruction*, void (*)(unsigned, void*), int registers, void*);
extern size_t qemu_plugin_tb_n_insns(const struct Block*);
extern struct Instruction* qemu_plugin_tb_get_insn(const struct Block*, size_t);
extern const void* qemu_plugin_insn_data(const struct Instruction*);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

static uint64_t instructions, products;
static FILE* out;

// A block's instructions, and its multiplications in the upper half.
static void executed(unsigned cpu, void* block) {
  if (cpu) return;
  instructions += (uintptr_t)block & 0xffffffffu;
  products += (uintptr_t)block >> 32;
}

static void marked(unsigned cpu, void* none) {
  (void)cpu, (void)none;
  fprintf(out, "%" PRIu64 " %" PRIu64 "\n", instructions, products);
  fflush(out);
}

static int multiplies(uint32_t word) {
  return (word & 0xffe0fc00u) == 0x4e20cc00u || (word & 0xffc0f400u) == 0x4f801000u ||  // FMLA .4s by vector, by element
         (word & 0xffc0f400u) == 0x4f80e000u ||                                         // SDOT by element
         (word & 0xbfe0fc00u) == 0x0e20c000u || (word & 0xbfe0fc00u) == 0x0e208000u;    // SMULL, SMLAL of bytes
}

static void translated(Id id, struct Block* block) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(block);
  uint64_t multiplications = 0;
  for (size_t i = 0; i < count; ++i) {
    struct Instruction* instruction = qemu_plugin_tb_get_insn(block, i);
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof(word));
    multiplications += multiplies(word);
    if (word == 0xd5032b5fu) qemu_plugin_register_vcpu_insn_exec_cb(instruction, marked, 0, NULL);
  }
  qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, (void*)(uintptr_t)(count | multiplications << 32));
}

EXPORT int qemu_plugin_install(Id id, const void* info, int argc, char** argv) {
  (void)info, (void)argc, (void)argv;
  const char* path = getenv("COPPICE_COUNTS");
  out = path ? fopen(path, "w") : NULL;
  if (!out) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  return 0;
}
