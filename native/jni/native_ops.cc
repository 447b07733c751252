// Natives of dev.coppice.ops.NativeOps: what the library is, which instruction set it uses, hashes, and memory outside of the
// Java heap. No tensors pass here.
#include <gnu/libc-version.h>
#include <jni.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <exception>

#include "../kernels/isa.h"
#include "../kernels/sha256.h"

namespace {

// Raised whenever a native's signature changes; the Java side refuses another number.
constexpr jint kAbi = 3;

jint abi(JNIEnv*, jclass) { return kAbi; }

void throw_new(JNIEnv* env, const char* type, const char* message) {
  const jclass exception = env->FindClass(type);
  if (exception != nullptr) env->ThrowNew(exception, message);
}

// Null, and a Java exception under way, where there is no memory to make the choice: C++'s must not cross into Java.
const coppice::Choice* choice(JNIEnv* env) noexcept {
  try {
    return &coppice::kernel_choice();
  } catch (const std::exception&) {
    throw_new(env, "java/lang/OutOfMemoryError", "libcoppice_ops: no memory to choose an instruction set");
    return nullptr;
  }
}

jstring isa(JNIEnv* env, jclass) {
  const coppice::Choice* const made = choice(env);
  if (made == nullptr) return nullptr;
  if (made->chosen != nullptr) return env->NewStringUTF(made->chosen->isa);
  throw_new(env, "java/lang/IllegalStateException", made->refusal.c_str());
  return nullptr;
}

jobjectArray isas(JNIEnv* env, jclass) {
  const coppice::Choice* const made = choice(env);
  if (made == nullptr) return nullptr;
  const coppice::Kernels* const* kernels = made->runnable;
  jsize count = 0;
  while (kernels[count] != nullptr) ++count;
  const jclass string = env->FindClass("java/lang/String");
  if (string == nullptr) return nullptr;
  const jobjectArray names = env->NewObjectArray(count, string, nullptr);
  for (jsize i = 0; names != nullptr && i < count; ++i) {
    const jstring name = env->NewStringUTF(kernels[i]->isa);
    if (name == nullptr) return nullptr;
    env->SetObjectArrayElement(names, i, name);
    env->DeleteLocalRef(name);
  }
  return names;
}

jstring glibc(JNIEnv* env, jclass) { return env->NewStringUTF(gnu_get_libc_version()); }

// mmap, not malloc: freeing one large block would teach glibc to keep blocks of that size.
jobject allocate(JNIEnv* env, jclass, jlong bytes) {
  void* const memory = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw_new(env, "java/lang/OutOfMemoryError", "libcoppice_ops: no memory for a model");
    return nullptr;
  }
  madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // a model of 22 MB is read in half the time, Zen 4, 2026-11-22
  const jobject buffer = env->NewDirectByteBuffer(memory, bytes);
  if (buffer == nullptr) munmap(memory, static_cast<size_t>(bytes));
  return buffer;
}

void release(JNIEnv* env, jclass, jobject buffer) {
  munmap(env->GetDirectBufferAddress(buffer), static_cast<size_t>(env->GetDirectBufferCapacity(buffer)));
}

// The whole pages between two addresses of a mapped file, which the kernel maps again when they are touched.
void forget_pages(uintptr_t begin, uintptr_t end) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = end / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

void forget(JNIEnv* env, jclass, jobject buffer) {
  const auto begin = reinterpret_cast<uintptr_t>(env->GetDirectBufferAddress(buffer));
  forget_pages(begin, begin + static_cast<uintptr_t>(env->GetDirectBufferCapacity(buffer)));
}

// Of its 18 MB that were touched when a model is loaded, ONNX Runtime's library needs 7 to run it. Pages that are only read come back from
// the file; those that were relocated would not. Other libraries may have been patched in memory by whoever loaded them.
int forget_code(dl_phdr_info* library, size_t, void*) {
  if (std::strstr(library->dlpi_name, "/libonnxruntime") == nullptr) return 0;
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = library->dlpi_addr + segment.p_vaddr;
    forget_pages(begin, begin + segment.p_memsz);
  }
  return 0;
}

void trim(JNIEnv*, jclass) {
  malloc_trim(0);
  dl_iterate_phdr(forget_code, nullptr);
}

// False, and no hash, where the processor has no instructions for it. Of an array, or of a direct buffer where that is null.
jboolean sha256(JNIEnv* env, jclass, jobject buffer, jbyteArray array, jint from, jint count, jbyteArray digest) {
  if (!coppice::sha256_runs()) return JNI_FALSE;
  coppice::Sha256State state;
  uint8_t piece[256 * coppice::kSha256Block];  // an array is copied: pinned, it could make a collection wait
  const uint8_t* const bytes = array == nullptr ? static_cast<const uint8_t*>(env->GetDirectBufferAddress(buffer)) + from : piece;
  const jint most = array == nullptr ? count : static_cast<jint>(sizeof(piece));
  jint done = 0;
  size_t blocks = 0;
  do {
    const jint now = count - done < most ? count - done : most;
    if (array != nullptr) env->GetByteArrayRegion(array, from + done, now, reinterpret_cast<jbyte*>(piece));
    blocks = static_cast<size_t>(now) / coppice::kSha256Block;
    coppice::sha256_blocks(&state, bytes, blocks);
    done += now;
  } while (done < count);
  uint8_t hash[coppice::kSha256Bytes];
  coppice::sha256_finish(state, bytes + blocks * coppice::kSha256Block, static_cast<uint64_t>(count), hash);
  env->SetByteArrayRegion(digest, 0, sizeof(hash), reinterpret_cast<const jbyte*>(hash));
  return JNI_TRUE;
}

template <class Function>
void* pointer(Function* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  // ONNX Runtime 1.29 for aarch64 keeps usage records below the home folder unless this is set when it starts, and its Java
  // switch comes too late. A service's own choice stands.
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);
  JNIEnv* env = nullptr;
  if (vm->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_8) != JNI_OK) return JNI_ERR;
  const jclass native_ops = env->FindClass("dev/coppice/ops/NativeOps");
  if (native_ops == nullptr) return JNI_ERR;
  char abi_name[] = "abi", isa_name[] = "isa", isas_name[] = "isas", glibc_name[] = "glibc";
  char allocate_name[] = "allocate", release_name[] = "release", forget_name[] = "forget", trim_name[] = "trim",
       sha256_name[] = "sha256";
  char to_int[] = "()I", to_string[] = "()Ljava/lang/String;", to_strings[] = "()[Ljava/lang/String;";
  char to_buffer[] = "(J)Ljava/nio/ByteBuffer;", of_buffer[] = "(Ljava/nio/ByteBuffer;)V", of_nothing[] = "()V",
       to_hash[] = "(Ljava/nio/ByteBuffer;[BII[B)Z";
  const JNINativeMethod methods[] = {{abi_name, to_int, pointer(abi)},
                                     {isa_name, to_string, pointer(isa)},
                                     {isas_name, to_strings, pointer(isas)},
                                     {glibc_name, to_string, pointer(glibc)},
                                     {allocate_name, to_buffer, pointer(allocate)},
                                     {release_name, of_buffer, pointer(release)},
                                     {forget_name, of_buffer, pointer(forget)},
                                     {trim_name, of_nothing, pointer(trim)},
                                     {sha256_name, to_hash, pointer(sha256)}};
  return env->RegisterNatives(native_ops, methods, sizeof(methods) / sizeof(methods[0])) == JNI_OK ? JNI_VERSION_1_8 : JNI_ERR;
}
