"""What people type: each module reads the arguments of one command and calls the library.

    python -m ueo.commands grid office_home --trainers ZeroshotCLIP UEO
"""
