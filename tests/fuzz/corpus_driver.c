// Runs a fuzz target over files and folders of a corpus: what a build without libFuzzer uses.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    static uint8_t data[1 << 20];
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    // an exact heap copy, so that the address sanitizer sees reads past the end
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return -1;
    for (size_t i = 0; i < size; i++)
        copy[i] = data[i];
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 1;
}

static int run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(status.st_mode))
        return run_file(path);
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        char name[4096];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        int result = run_file(name);
        if (result < 0) {
            count = -1;
            break;
        }
        count += result;
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = run_path(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1; // an empty corpus proves nothing
}
