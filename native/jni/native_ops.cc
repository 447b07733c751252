// Natives of dev.coppice.ops.NativeOps: what the library is and which instruction set it uses. No tensors pass here.
#include <gnu/libc-version.h>
#include <jni.h>

#include <cstdlib>

#include <exception>

#include "../kernels/isa.h"

namespace {

// Raised whenever a native's signature changes; the Java side refuses another number.
constexpr jint kAbi = 1;

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
  char to_int[] = "()I", to_string[] = "()Ljava/lang/String;", to_strings[] = "()[Ljava/lang/String;";
  const JNINativeMethod methods[] = {{abi_name, to_int, pointer(abi)},
                                     {isa_name, to_string, pointer(isa)},
                                     {isas_name, to_strings, pointer(isas)},
                                     {glibc_name, to_string, pointer(glibc)}};
  return env->RegisterNatives(native_ops, methods, 4) == JNI_OK ? JNI_VERSION_1_8 : JNI_ERR;
}
