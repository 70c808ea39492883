-- Run once, when the server's volume is new: the schema registry keeps its schemas and their ids here.
CREATE DATABASE registry OWNER tidemark;
