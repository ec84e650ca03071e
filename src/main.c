// roost: the whole WebRTC back end. Commands live in admin/; this is only the door.
#include "admin/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
