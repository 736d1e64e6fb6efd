"""A server by gRPC with one method of each kind, and a client that tries them all.

`calls.py serve HOST PORT`; `calls.py call HOST PORT` prints `ok`, or what went wrong; `calls.py fail HOST PORT` prints the
code of a call that fails. Messages are bytes as they are, so that no description has to be compiled.
"""
import sys
import threading
from concurrent import futures

import grpc

KIND = "demo.Calls"


def unary(request, context):
    context.set_trailing_metadata((("x-length", str(len(request))),))
    if request == b"no":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "it was said so")
    return request[::-1]


def server_stream(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def client_stream(requests, context):
    return b"%d" % sum(len(one) for one in requests)


def both(requests, context):
    for one in requests:
        yield one.upper()


def serve(host, port):
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "Both": grpc.stream_stream_rpc_method_handler(both),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(KIND, handlers),))
    server.add_insecure_port(f"{host}:{port}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def call(host, port):
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        path = f"/{KIND}/"
        answer, told = channel.unary_unary(path + "Unary").with_call(b"hello" * 1000, timeout=20)
        assert answer == (b"hello" * 1000)[::-1], answer
        assert dict(told.trailing_metadata())["x-length"] == "5000", told.trailing_metadata()
        try:
            channel.unary_unary(path + "Unary")(b"no", timeout=20)
            raise AssertionError("it should have failed")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
            assert error.details() == "it was said so", error
        numbers = list(channel.unary_stream(path + "ServerStream")(b"500", timeout=20))
        assert numbers == [b"%d" % number for number in range(500)], numbers
        length = channel.stream_unary(path + "ClientStream")((b"x" * 10_000 for _ in range(200)), timeout=20)
        assert length == b"2000000", length
        # One message goes only when the one before came back: both directions are open at once.
        turn = threading.Semaphore(1)

        def words():
            for number in range(100):
                turn.acquire()
                yield b"word %d" % number

        back = []
        for one in channel.stream_stream(path + "Both")(words(), timeout=20):
            back.append(one)
            turn.release()
        assert back == [b"WORD %d" % number for number in range(100)], back
    print("ok")


def fail(host, port):
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            channel.unary_unary(f"/{KIND}/Unary")(b"x", timeout=20)
            print("it did not fail")
        except grpc.RpcError as error:
            print(error.code().name)


if __name__ == "__main__":
    {"serve": serve, "call": call, "fail": fail}[sys.argv[1]](sys.argv[2], sys.argv[3])
