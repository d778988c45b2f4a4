import Control.Concurrent
import Control.Exception
import Data.Char (toUpper)
import Data.Time.Clock
import System.Environment
import System.Exit
import System.IO
import System.Process

part :: Int -> IO (MVar Int)
part first = do
  result <- newEmptyMVar
  _ <- forkOS (putMVar result $! sum [first, first + 4 .. 99])
  return result

main :: IO ()
main = do
  hSetBuffering stdout LineBuffering
  parts <- mapM part [0 .. 3]
  total <- sum <$> mapM takeMVar parts
  putStrLn ("threads " ++ show total)
  putStrLn ("locale " ++ map toUpper "äöü")
  before <- getCurrentTime
  threadDelay 10000
  after <- getCurrentTime
  if diffUTCTime after before >= 0.009 && show after > "2024" then putStrLn "time passes" else return ()
  (one, two) <- withBinaryFile "/dev/urandom" ReadMode $ \source -> do
    hSetBuffering source NoBuffering
    one <- mapM (const (hGetChar source)) [1 .. 16 :: Int]
    two <- mapM (const (hGetChar source)) [1 .. 16 :: Int]
    return (one, two)
  if one /= two then putStrLn "random differs" else return ()
  arguments <- getArgs
  if null arguments then subprocess else return ()

subprocess :: IO ()
subprocess = do
  ended <- try (readProcessWithExitCode "/bin/sh" ["-c", "exit 7"] "") :: IO (Either IOException (ExitCode, String, String))
  putStrLn $ case ended of
    Right (ExitFailure status, _, _) -> "subprocess " ++ show status
    Right (ExitSuccess, _, _) -> "subprocess 0"
    Left _ -> "subprocess refused"
